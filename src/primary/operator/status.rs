//! The state of supervision as JSON.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    super::{
        core::supervise::status::{SlotState, SlotStatus},
        messages::Published,
    },
    report::{state_name, whole},
};
use crate::sys::memory_of;

/// What is known of supervision, as JSON.
pub fn status_json(published: &Published) -> String {
    let Published { status, pids, .. } = published;
    let now = Instant::now();
    let slots: Vec<_> = status.slots.iter().map(|slot| slot_json(slot, published, now)).collect();
    let draining = status.leaving.iter().map(|it| {
        json!({
            "worker": it.worker,
            "pid": pids.get(&it.worker),
            "memory": pids.get(&it.worker).copied().and_then(memory_of),
            "slot": it.slot,
            "generation": it.generation,
        })
    });
    let draining: Vec<_> = draining.collect();
    let blocked = status
        .blocked
        .iter()
        .map(|place| json!({ "at": place.at, "count": place.count, "ms": whole(place.longest) }));
    let blocked: Vec<_> = blocked.collect();
    json!({
        "state": state_name(status.state),
        "generation": status.generation,
        "held": status.is_held,
        "workers": status.slots.len(),
        "slots": slots,
        "draining": draining,
        "blocked": blocked,
    })
    .to_string()
}

fn slot_json(slot: &SlotStatus, published: &Published, now: Instant) -> Value {
    let pid = slot.worker.and_then(|worker| published.pids.get(&worker)).copied();
    let (state, next) = match slot.state {
        SlotState::Empty => ("empty", None),
        SlotState::Starting => ("starting", None),
        SlotState::Ready => ("ready", None),
        SlotState::Waiting(at) => ("waiting", Some(at)),
        SlotState::Failed => ("failed", None),
    };
    json!({
        "slot": slot.slot,
        "state": state,
        "worker": slot.worker,
        "pid": pid,
        "memory": pid.and_then(memory_of),
        "generation": slot.generation,
        "uptime": slot.ready_since.map(|since| whole(now.saturating_duration_since(since))),
        "failures": slot.failures,
        "restarts": slot.restarts,
        "nextStart": next.map(|at| whole(at.saturating_duration_since(now))),
    })
}

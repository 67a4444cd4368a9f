//! A snapshot as JSON.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{
    super::core::{
        stats::{AddressStats, Total, WorkerStats},
        supervise::status::{LeavingStatus, SlotState, SlotStatus},
    },
    history::Second,
    readiness::readiness,
    record::epoch,
    report::{slot_state_name, state_name, whole},
    snapshot::{Process, Snapshot},
};
use crate::protocol::WorkerId;

/// Who is shown the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The program itself, and its user by the control socket: everything.
    Owner,
    /// Whoever may reach the admin endpoint: not what workers have written, no stacks, and of files only their
    /// names.
    Public,
}

/// What the program must not have shown to others.
const PRIVATE: [&str; 2] = ["stderr", "stack"];

/// The status as JSON.
pub fn status_json(snapshot: &Snapshot, audience: Audience) -> String {
    let Snapshot { identity, now, status, observed, tally, .. } = snapshot;
    let is_stuck = |worker| observed.workers.get(&worker).is_some_and(WorkerStats::is_stuck);
    let mut totals = total_json(&observed.total);
    totals.extend([
        ("restarts".into(), json!(snapshot.restarts.values().sum::<u64>())),
        ("cut".into(), json!(tally.cut)),
        ("reloads".into(), json!(status.reloads)),
        ("reloadsFailed".into(), json!(status.failed_reloads)),
        ("hung".into(), json!(tally.hung)),
        ("blocked".into(), json!(tally.blocked)),
    ]);
    json!({
        "name": identity.name,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "node": identity.node,
        "state": state_name(status.state),
        "ready": readiness(status, is_stuck).is_ok(),
        "generation": status.generation,
        "held": status.is_held,
        "workers": status.slots.len(),
        "uptime": whole(now.instant.saturating_duration_since(identity.since)),
        "started": epoch(identity.started),
        "now": now.epoch,
        "control": identity.control,
        "admin": identity.admin,
        "slots": status.slots.iter().map(|it| slot_json(snapshot, it)).collect::<Vec<_>>(),
        "draining": status.leaving.iter().map(|it| leaving_json(snapshot, it)).collect::<Vec<_>>(),
        "blocked": blocked_json(snapshot, audience),
        "listeners": bound(snapshot).map(address_json).collect::<Vec<_>>(),
        "totals": totals,
        "events": snapshot.events.iter().map(|it| event_json(it, audience)).collect::<Vec<_>>(),
        "history": history_json(&snapshot.seconds),
    })
    .to_string()
}

fn slot_json(snapshot: &Snapshot, slot: &SlotStatus) -> Value {
    let now = snapshot.now.instant;
    let next = match slot.state {
        SlotState::Waiting(at) => Some(at),
        _ => None,
    };
    let mut value = slot.worker.map_or_else(Map::new, |it| worker_json(snapshot, it));
    for name in ["pid", "memory", "cpu"] {
        value.entry(name).or_insert(Value::Null);
    }
    for name in ["open", "waiting", "accepted", "handedOver"] {
        value.entry(name).or_insert(json!(0));
    }
    value.entry("stalled").or_insert(json!(false));
    let total = snapshot.observed.slots.get(&slot.slot).copied().unwrap_or_default();
    value.extend([
        ("slot".into(), json!(slot.slot)),
        ("state".into(), json!(slot_state_name(slot.state))),
        ("worker".into(), json!(slot.worker)),
        ("generation".into(), json!(slot.generation)),
        ("uptime".into(), json!(slot.ready_since.map(|since| since_json(since, now)))),
        ("failures".into(), json!(slot.failures)),
        ("restarts".into(), json!(snapshot.restarts.get(&slot.slot).copied().unwrap_or_default())),
        ("nextStart".into(), json!(next.map(|at| whole(at.saturating_duration_since(now))))),
        ("total".into(), total_json(&total).into()),
    ]);
    value.into()
}

fn leaving_json(snapshot: &Snapshot, leaving: &LeavingStatus) -> Value {
    let leaves = snapshot.processes.get(&leaving.worker).and_then(|it| it.leaves);
    let mut value = worker_json(snapshot, leaving.worker);
    value.extend([
        ("worker".into(), json!(leaving.worker)),
        ("slot".into(), json!(leaving.slot)),
        ("generation".into(), json!(leaving.generation)),
        ("reason".into(), json!(leaves.map(|(reason, _)| reason.as_str()))),
        ("since".into(), json!(leaves.map(|(_, since)| since_json(since, snapshot.now.instant)))),
    ]);
    value.into()
}

fn since_json(since: Instant, now: Instant) -> u64 {
    whole(now.saturating_duration_since(since))
}

/// What a worker uses, and its connections.
fn worker_json(snapshot: &Snapshot, worker: WorkerId) -> Map<String, Value> {
    let process = snapshot.processes.get(&worker);
    let usage = process.map(|it| it.usage).unwrap_or_default();
    let stats = snapshot.observed.workers.get(&worker);
    let count = |get: fn(&WorkerStats) -> u64| stats.map_or(0, get);
    Map::from_iter([
        ("pid".into(), json!(process.map(|Process { pid, .. }| pid))),
        ("memory".into(), json!(usage.memory)),
        ("cpu".into(), json!(usage.cpu.map(whole))),
        ("stalled".into(), json!(stats.is_some_and(WorkerStats::is_stuck))),
        ("open".into(), json!(count(|it| it.open as u64))),
        ("waiting".into(), json!(count(|it| it.waiting as u64))),
        ("accepted".into(), json!(count(|it| it.accepted))),
        ("handedOver".into(), json!(count(|it| it.counts.handed_over))),
    ])
}

fn total_json(total: &Total) -> Map<String, Value> {
    let Total { accepted, counts, .. } = total;
    Map::from_iter([
        ("accepted".into(), json!(accepted)),
        ("handedOver".into(), json!(counts.handed_over)),
        ("reclaimed".into(), json!(counts.reclaimed)),
        ("rescued".into(), json!(counts.rescued)),
        ("returned".into(), json!(counts.returned)),
        ("moved".into(), json!(counts.moved)),
    ])
}

fn bound(snapshot: &Snapshot) -> impl Iterator<Item = &AddressStats> {
    snapshot.observed.addresses.iter().filter(|it| it.is_bound)
}

fn address_json(stats: &AddressStats) -> Value {
    let mut value = total_json(&stats.total);
    value.extend([
        ("address".into(), json!(stats.address)),
        ("workers".into(), json!(stats.workers)),
        ("waiting".into(), json!(stats.waiting)),
        ("parked".into(), json!(stats.parked)),
        ("handoverTimes".into(), json!(stats.total.handover.buckets)),
    ]);
    value.into()
}

fn blocked_json(snapshot: &Snapshot, audience: Audience) -> Vec<Value> {
    let places = snapshot.status.blocked.iter().map(|place| {
        let at = match audience {
            Audience::Owner => &place.at,
            Audience::Public => place.at.rsplit('/').next().unwrap_or_default(),
        };
        json!({ "at": at, "count": place.count, "ms": whole(place.longest) })
    });
    places.collect()
}

fn event_json(event: &Value, audience: Audience) -> Value {
    let mut event = event.clone();
    if audience == Audience::Public {
        hide(&mut event);
    }
    event
}

fn hide(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| !PRIVATE.contains(&name.as_str()));
        fields.values_mut().for_each(hide);
    }
}

fn history_json(seconds: &[Second]) -> Value {
    json!({
        "interval": 1000,
        "accepted": seconds.iter().map(|it| it.accepted).collect::<Vec<_>>(),
        "p50": seconds.iter().map(|it| it.p50).collect::<Vec<_>>(),
        "p99": seconds.iter().map(|it| it.p99).collect::<Vec<_>>(),
    })
}

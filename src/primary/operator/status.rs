//! A snapshot as JSON.

use std::time::Instant;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{
    super::core::{
        stats::{Counts, Total, WorkerStats},
        supervise::{
            report::Reason,
            status::{SlotState, SlotStatus},
        },
    },
    history::Second,
    readiness::readiness,
    record::epoch,
    report::{slot_state_name, state_name, whole},
    snapshot::Snapshot,
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

/// Fields that are not for everybody.
const PRIVATE: [&str; 3] = ["stderr", "stack", "message"];

/// The status as JSON.
pub fn status_json(snapshot: &Snapshot, audience: Audience) -> String {
    // Keys are text, so it does not fail.
    serde_json::to_string(&Status::new(snapshot, audience)).unwrap_or_default()
}

#[derive(Serialize)]
struct Status<'a> {
    name: &'a str,
    pid: u32,
    version: &'static str,
    node: &'a str,
    state: &'static str,
    ready: bool,
    generation: u32,
    held: bool,
    workers: usize,
    uptime: u64,
    started: u64,
    now: u64,
    control: Option<&'a str>,
    admin: Option<&'a str>,
    slots: Vec<Slot>,
    draining: Vec<Draining>,
    blocked: Vec<Blocked<'a>>,
    listeners: Vec<Listener<'a>>,
    totals: Totals,
    events: Vec<Event<'a>>,
    history: History,
}

/// What a worker uses, and its connections.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    pid: Option<i32>,
    memory: Option<u64>,
    cpu: Option<u64>,
    stalled: bool,
    open: usize,
    waiting: usize,
    accepted: u64,
    handed_over: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Slot {
    slot: u32,
    state: &'static str,
    worker: Option<WorkerId>,
    generation: Option<u32>,
    uptime: Option<u64>,
    failures: u32,
    restarts: u64,
    next_start: Option<u64>,
    #[serde(flatten)]
    process: Process,
    total: Connections,
}

#[derive(Serialize)]
struct Draining {
    worker: WorkerId,
    slot: u32,
    generation: u32,
    reason: Option<&'static str>,
    since: Option<u64>,
    #[serde(flatten)]
    process: Process,
}

#[derive(Serialize)]
struct Blocked<'a> {
    at: &'a str,
    count: u64,
    ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connections {
    accepted: u64,
    handed_over: u64,
    reclaimed: u64,
    rescued: u64,
    returned: u64,
    moved: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listener<'a> {
    address: &'a str,
    workers: &'a [WorkerId],
    #[serde(flatten)]
    total: Connections,
    waiting: usize,
    parked: usize,
    handover_times: [u64; 24],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    #[serde(flatten)]
    connections: Connections,
    restarts: u64,
    cut: u64,
    reloads: u64,
    reloads_failed: u64,
    hung: u64,
    blocked: u64,
}

struct Event<'a> {
    event: &'a Value,
    audience: Audience,
}

#[derive(Serialize)]
struct History {
    interval: u64,
    accepted: Vec<f64>,
    p50: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

impl<'a> Status<'a> {
    fn new(snapshot: &'a Snapshot, audience: Audience) -> Self {
        let Snapshot { identity, now, status, observed, .. } = snapshot;
        let is_stuck = |worker| observed.workers.get(&worker).is_some_and(WorkerStats::is_stuck);
        let addresses = observed.addresses.iter().filter(|it| it.is_bound);
        Self {
            name: &identity.name,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            node: &identity.node,
            state: state_name(status.state),
            ready: readiness(status, is_stuck).is_ok(),
            generation: status.generation,
            held: status.is_held,
            workers: status.slots.len(),
            uptime: whole(now.instant.saturating_duration_since(identity.since)),
            started: epoch(identity.started),
            now: now.epoch,
            control: identity.control.as_deref(),
            admin: identity.admin.as_deref(),
            slots: status.slots.iter().map(|it| Slot::new(snapshot, it)).collect(),
            draining: draining(snapshot),
            blocked: blocked(snapshot, audience),
            listeners: addresses
                .map(|it| Listener {
                    address: &it.address,
                    workers: &it.workers,
                    total: it.total.into(),
                    waiting: it.waiting,
                    parked: it.parked,
                    handover_times: it.total.handover.buckets,
                })
                .collect(),
            totals: Totals::new(snapshot),
            events: snapshot.events.iter().map(|event| Event { event, audience }).collect(),
            history: History::new(&snapshot.seconds),
        }
    }
}

impl Slot {
    fn new(snapshot: &Snapshot, slot: &SlotStatus) -> Self {
        let now = snapshot.now.instant;
        let next = match slot.state {
            SlotState::Waiting(at) => Some(at),
            _ => None,
        };
        let total = snapshot.observed.slots.get(&slot.slot).copied().unwrap_or_default();
        Self {
            slot: slot.slot,
            state: slot_state_name(slot.state),
            worker: slot.worker,
            generation: slot.generation,
            uptime: slot.ready_since.map(|since| since_then(since, now)),
            failures: slot.failures,
            restarts: snapshot.restarts.get(&slot.slot).copied().unwrap_or_default(),
            next_start: next.map(|at| whole(at.saturating_duration_since(now))),
            process: slot.worker.map(|it| Process::new(snapshot, it)).unwrap_or_default(),
            total: total.into(),
        }
    }
}

impl Process {
    fn new(snapshot: &Snapshot, worker: WorkerId) -> Self {
        let process = snapshot.processes.get(&worker);
        let usage = process.map(|it| it.usage).unwrap_or_default();
        let stats = snapshot.observed.workers.get(&worker);
        Self {
            pid: process.map(|it| it.pid),
            memory: usage.memory,
            cpu: usage.cpu.map(whole),
            stalled: stats.is_some_and(WorkerStats::is_stuck),
            open: stats.map_or(0, |it| it.open),
            waiting: stats.map_or(0, |it| it.waiting),
            accepted: stats.map_or(0, |it| it.accepted),
            handed_over: stats.map_or(0, |it| it.counts.handed_over),
        }
    }
}

fn draining(snapshot: &Snapshot) -> Vec<Draining> {
    let leaving = snapshot.status.leaving.iter().map(|it| {
        let leaves = snapshot.processes.get(&it.worker).and_then(|process| process.leaves);
        Draining {
            worker: it.worker,
            slot: it.slot,
            generation: it.generation,
            reason: it.reason.map(Reason::as_str),
            since: leaves.map(|since| since_then(since, snapshot.now.instant)),
            process: Process::new(snapshot, it.worker),
        }
    });
    leaving.collect()
}

fn since_then(since: Instant, now: Instant) -> u64 {
    whole(now.saturating_duration_since(since))
}

fn blocked(snapshot: &Snapshot, audience: Audience) -> Vec<Blocked<'_>> {
    let places = snapshot.status.blocked.iter().map(|place| Blocked {
        at: match audience {
            Audience::Owner => &place.at,
            Audience::Public => place.at.rsplit('/').next().unwrap_or_default(),
        },
        count: place.count,
        ms: whole(place.longest),
    });
    places.collect()
}

impl From<Total> for Connections {
    fn from(Total { accepted, counts, .. }: Total) -> Self {
        let Counts { handed_over, reclaimed, rescued, returned, moved } = counts;
        Self { accepted, handed_over, reclaimed, rescued, returned, moved }
    }
}

impl Totals {
    fn new(snapshot: &Snapshot) -> Self {
        let Snapshot { observed, restarts, tally, .. } = snapshot;
        Self {
            connections: observed.total.into(),
            restarts: restarts.values().sum(),
            cut: tally.cut,
            reloads: snapshot.reloads(),
            reloads_failed: snapshot.failed_reloads(),
            hung: tally.hung,
            blocked: tally.blocked,
        }
    }
}

impl History {
    fn new(seconds: &[Second]) -> Self {
        Self {
            interval: 1000,
            accepted: seconds.iter().map(|it| it.accepted).collect(),
            p50: seconds.iter().map(|it| it.p50).collect(),
            p99: seconds.iter().map(|it| it.p99).collect(),
        }
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.audience, self.event) {
            (Audience::Public, Value::Object(fields)) => {
                let shown = fields.iter().filter(|(name, _)| !PRIVATE.contains(&name.as_str()));
                let audience = self.audience;
                serializer.collect_map(shown.map(|(name, event)| (name, Event { event, audience })))
            }
            (_, event) => event.serialize(serializer),
        }
    }
}

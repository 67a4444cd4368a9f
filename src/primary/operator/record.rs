//! What is remembered: events, the past seconds, and counts of workers and slots that are gone.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    super::core::supervise::{
        report::{Outcome, Report, SlotNumber},
        status::Status,
    },
    history::History,
    report::report_json,
};
use crate::{protocol::WorkerId, sys::signal_name};

/// How many events are remembered.
const EVENTS: usize = 50;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For differences.
    pub instant: Instant,
    /// In milliseconds since 1970.
    pub epoch: u64,
}

/// In milliseconds since 1970.
pub fn epoch(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How a worker's process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Its exit code.
    pub code: Option<i32>,
    /// The name of the signal that has ended it.
    pub signal: Option<String>,
    /// How many connections that has cut.
    pub cut: usize,
    /// The processor time that it has had, if it is known.
    pub cpu: Option<Duration>,
}

/// What a worker uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident bytes.
    pub memory: Option<u64>,
    /// The processor time that it has had.
    pub cpu: Option<Duration>,
}

/// A supervised worker whose process runs.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) slot: Option<SlotNumber>,
    pub(super) usage: Usage,
    /// Since when it leaves.
    pub(super) leaves: Option<Instant>,
}

/// Counts of what has happened. They never go down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were cut.
    pub cut: u64,
    /// Workers that hung.
    pub hung: u64,
    /// Reports of blocked event loops.
    pub blocked: u64,
    /// Reloads that could not begin, because there was nothing to start workers by.
    pub unprepared_reloads: u64,
}

/// A count that begins again with each slot of the same number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Restarts {
    pub(super) before: u64,
    last: u32,
}

impl Restarts {
    fn update(&mut self, now: u32) {
        if now < self.last {
            self.before += u64::from(self.last);
        }
        self.last = now;
    }

    fn total(self) -> u64 {
        self.before + u64::from(self.last)
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) events: VecDeque<Arc<Value>>,
    pub(super) history: History,
    pub(super) tally: Tally,
    pub(super) processes: HashMap<WorkerId, Process>,
    /// When the use of processes was read last.
    pub(super) read: Option<Instant>,
    /// The processor time of workers that have ended.
    pub(super) ended_cpu: BTreeMap<SlotNumber, Duration>,
    pub(super) restarts: BTreeMap<SlotNumber, Restarts>,
    /// How often operators have asked, by what they asked for.
    pub(super) requests: BTreeMap<String, u64>,
    /// How many reloads other primaries have made before this one, and how many of theirs have failed.
    pub(super) reloads_before: u64,
    pub(super) failed_reloads_before: u64,
}

impl Record {
    /// An operator has asked for this.
    pub(super) fn count_request(&mut self, endpoint: &str) {
        match self.requests.get_mut(endpoint) {
            Some(count) => *count += 1,
            None => _ = self.requests.insert(endpoint.to_owned(), 1),
        }
    }

    pub(super) fn add_process(&mut self, id: WorkerId, pid: i32, slot: Option<SlotNumber>) {
        let (usage, leaves) = Default::default();
        self.processes.insert(id, Process { pid, slot, usage, leaves });
        // So that what it uses is not unknown for long.
        self.read = None;
    }

    pub(super) fn report(&mut self, report: &Report, stderr: Option<&str>, now: Moment) {
        match report {
            Report::Hung { .. } => self.tally.hung += 1,
            Report::Blocked { .. } => self.tally.blocked += 1,
            // Whatever was done is reported by itself.
            Report::Answer(_, outcome) if !matches!(outcome, Outcome::Rejected(_)) => return,
            _ => {}
        }
        let mut event = report_json(report, stderr);
        if let Some(event) = event.as_object_mut() {
            event.remove("token");
        }
        name_signals(&mut event);
        self.add_event(event, now);
    }

    /// A reload could not begin.
    pub(super) fn has_not_reloaded(&mut self, message: &str, now: Moment) {
        self.tally.unprepared_reloads += 1;
        let event =
            json!({ "type": "rejected", "what": "recipe", "phase": "start", "message": message });
        self.add_event(event, now);
    }

    /// The worker's process has ended.
    pub(super) fn exited(&mut self, id: WorkerId, end: End, now: Moment) {
        let process = self.processes.remove(&id);
        let slot = process.as_ref().and_then(|it| it.slot);
        if let Some(slot) = slot {
            let known = process.and_then(|it| it.usage.cpu);
            *self.ended_cpu.entry(slot).or_default() += end.cpu.max(known).unwrap_or_default();
        }
        let End { code, signal, cut, .. } = end;
        self.add_event(
            json!({ "type": "exit", "worker": id, "slot": slot, "code": code, "signal": signal }),
            now,
        );
        if cut > 0 {
            self.tally.cut += cut as u64;
            self.add_event(json!({ "type": "cut", "worker": id, "connections": cut }), now);
        }
    }

    fn add_event(&mut self, mut event: Value, now: Moment) {
        event["time"] = json!(now.epoch);
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Arc::new(event));
    }

    /// This is the state of supervision now.
    pub(super) fn published(&mut self, status: &Status, now: Instant) {
        for restarts in self.restarts.iter_mut().filter(|(slot, _)| !has(status, **slot)) {
            restarts.1.update(0);
        }
        for slot in &status.slots {
            self.restarts.entry(slot.slot).or_default().update(slot.restarts);
        }
        for worker in status.leaving.iter().map(|it| it.worker) {
            if let Some(process) = self.processes.get_mut(&worker) {
                process.leaves.get_or_insert(now);
            }
        }
    }

    /// This is what processes use. What is not known is what it was.
    pub(super) fn used(&mut self, used: impl IntoIterator<Item = (WorkerId, Usage)>, now: Instant) {
        self.read = Some(now);
        for (id, usage) in used {
            if let Some(process) = self.processes.get_mut(&id) {
                process.usage.memory = usage.memory.or(process.usage.memory);
                process.usage.cpu = process.usage.cpu.max(usage.cpu);
            }
        }
    }

    /// The restarts of all slots, also of those that there are no more.
    pub(super) fn restarts(&self) -> BTreeMap<SlotNumber, u64> {
        self.restarts.iter().map(|(&slot, restarts)| (slot, restarts.total())).collect()
    }

    /// The processor time of all workers of each slot.
    pub(super) fn cpu(&self) -> BTreeMap<SlotNumber, Duration> {
        let mut cpu = self.ended_cpu.clone();
        for process in self.processes.values() {
            if let Some(slot) = process.slot {
                *cpu.entry(slot).or_default() += process.usage.cpu.unwrap_or_default();
            }
        }
        cpu
    }
}

/// JavaScript finds the names of signals by itself, readers of the status do not.
fn name_signals(value: &mut Value) {
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            match (name.as_str(), field.as_i64()) {
                ("signal", Some(number)) => {
                    *field = json!(i32::try_from(number).ok().map(signal_name));
                }
                _ => name_signals(field),
            }
        }
    }
}

fn has(status: &Status, slot: SlotNumber) -> bool {
    // They are in order.
    status.slots.binary_search_by_key(&slot, |it| it.slot).is_ok()
}

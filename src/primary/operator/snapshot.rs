//! All that operators may see, at one moment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    super::core::{
        stats::Observed,
        supervise::{report::SlotNumber, status::Status},
    },
    history::Second,
    identity::Identity,
    record::{Moment, Record, Tally, Usage},
};
use crate::protocol::WorkerId;

/// A supervised worker whose process runs.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its process.
    pub pid: i32,
    /// What it uses.
    pub usage: Usage,
    /// Since when it leaves.
    pub leaves: Option<Instant>,
}

/// What operators may see.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Of the primary.
    pub identity: Arc<Identity>,
    /// When this was taken.
    pub now: Moment,
    /// What the rules know.
    pub status: Status,
    /// Counts of connections.
    pub observed: Observed,
    /// The supervised workers whose processes run.
    pub processes: HashMap<WorkerId, Process>,
    /// The processor time of all workers of a slot.
    pub cpu: BTreeMap<SlotNumber, Duration>,
    /// How many workers were started in a slot after the first.
    pub restarts: BTreeMap<SlotNumber, u64>,
    /// Counts of what has happened.
    pub tally: Tally,
    /// The last events, oldest first.
    pub events: Vec<Arc<Value>>,
    /// The last seconds, oldest first.
    pub seconds: Vec<Second>,
    /// How often operators have asked, by what they asked for.
    pub requests: BTreeMap<String, u64>,
    /// How many reloads other primaries have made before this one.
    pub(super) reloads_before: u64,
    /// How many of those that failed were theirs.
    pub(super) failed_reloads_before: u64,
}

impl Snapshot {
    /// Reloads that have ended well.
    pub(super) fn reloads(&self) -> u64 {
        self.status.reloads + self.reloads_before
    }

    /// Reloads that have failed, in whatever way.
    pub(super) fn failed_reloads(&self) -> u64 {
        let here = self.status.failed_reloads + self.tally.unprepared_reloads;
        here + self.failed_reloads_before
    }

    pub(super) fn new(
        identity: Arc<Identity>,
        now: Moment,
        status: Status,
        observed: Observed,
        record: &Record,
    ) -> Self {
        let processes = record
            .processes
            .iter()
            .map(|(&id, it)| (id, Process { pid: it.pid, usage: it.usage, leaves: it.leaves }));
        Self {
            identity,
            now,
            status,
            observed,
            processes: processes.collect(),
            cpu: record.cpu(),
            restarts: record.restarts(),
            tally: record.tally,
            events: record.events.iter().cloned().collect(),
            seconds: record.history.seconds(),
            requests: record.requests.clone(),
            reloads_before: record.reloads_before,
            failed_reloads_before: record.failed_reloads_before,
        }
    }
}

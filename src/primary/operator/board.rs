//! Where the engine's thread shows what it knows of supervision, and any thread reads it without asking.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    super::core::{
        stats::{Counters, Total},
        supervise::{
            report::{Report, SlotNumber},
            status::Status,
        },
    },
    carried::Carrier,
    identity::Identity,
    readiness::readiness,
    record::{End, Moment, Record, Usage},
    snapshot::Snapshot,
};
use crate::protocol::{WorkerId, upgrade::Counted};

/// How long it is known what processes use.
const FRESH: Duration = Duration::from_millis(500);

/// The board.
#[derive(Debug, Default)]
pub struct Board(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    identity: Option<Arc<Identity>>,
    status: Option<Status>,
    record: Record,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No thread panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Supervision begins, of this primary. So much was counted before.
    pub(in super::super) fn begin(&self, identity: Arc<Identity>, before: Total) {
        let mut inner = self.lock();
        inner.record.history.sample(before, identity.since);
        inner.identity = Some(identity);
    }

    /// The process of a supervised worker runs.
    pub(in super::super) fn add_process(&self, id: WorkerId, pid: i32, slot: Option<SlotNumber>) {
        self.lock().record.add_process(id, pid, slot);
    }

    /// The process of a worker has ended.
    pub(in super::super) fn exited(&self, id: WorkerId, end: End, now: Moment) {
        self.lock().record.exited(id, end, now);
    }

    /// This is the state of supervision from now on.
    pub(in super::super) fn publish(&self, status: Status, now: Instant) {
        let inner = &mut *self.lock();
        inner.record.published(&status, now);
        inner.status = Some(status);
    }

    /// This has happened; `stderr` is what the worker wrote last that it is about.
    pub(in super::super) fn report(&self, report: &Report, stderr: Option<&str>, now: Moment) {
        self.lock().record.report(report, stderr, now);
    }

    /// A reload could not begin, because there was nothing to start workers by.
    pub(in super::super) fn has_not_reloaded(&self, message: &str, now: Moment) {
        self.lock().record.has_not_reloaded(message, now);
    }

    /// So much has been counted until now.
    pub(in super::super) fn sample(&self, total: Total, now: Instant) {
        self.lock().record.history.sample(total, now);
    }

    /// An operator has asked for this.
    pub fn count_request(&self, endpoint: &'static str) {
        self.lock().record.count_request(endpoint);
    }

    /// What has happened since the last call for this carrier, for another primary.
    pub(in super::super) fn carried(&self, carrier: &mut Carrier) -> Vec<Counted> {
        let inner = self.lock();
        let reloads = inner.status.as_ref().map(|it| (it.reloads, it.failed_reloads));
        carrier.carried(&inner.record, reloads.unwrap_or_default())
    }

    /// This has happened in another primary.
    pub(in super::super) fn add_carried(&self, counted: &Counted) {
        self.lock().record.add_carried(counted);
    }

    /// The processes of workers, if it is to be read again what they use.
    pub(in super::super) fn to_read(&self, now: Instant) -> Option<Vec<(WorkerId, i32)>> {
        let Record { processes, read, .. } = &self.lock().record;
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        let pids = || processes.iter().map(|(&id, it)| (id, it.pid)).collect();
        (!read.is_some_and(is_fresh)).then(pids)
    }

    /// This is what processes use.
    pub(in super::super) fn used(&self, used: Vec<(WorkerId, Usage)>, now: Instant) {
        self.lock().record.used(used, now);
    }

    /// Everything, at this moment; `None` before supervision begins.
    pub(in super::super) fn snapshot(&self, counters: &Counters, now: Moment) -> Option<Snapshot> {
        let observed = counters.observe();
        let inner = &mut *self.lock();
        inner.record.history.sample(observed.total, now.instant);
        let Inner { identity, status, record } = inner;
        Some(Snapshot::new(identity.clone()?, now, status.clone()?, observed, record))
    }

    /// Whether a worker is ready whose event loop turns, and the supervisor does not stop.
    ///
    /// # Errors
    /// Why not.
    pub(in super::super) fn readiness(&self, counters: &Counters) -> Result<(), &'static str> {
        match &self.lock().status {
            Some(status) => readiness(status, |worker| counters.is_stuck(worker)),
            None => Err("starting"),
        }
    }
}

/// Where the engine's thread writes, and others read.
pub(in super::super) type SharedBoard = Arc<Board>;

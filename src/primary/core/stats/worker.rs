//! What is counted of workers.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    shared::SharedCounts,
    values::{Counts, Total, WorkerStats},
};
use crate::protocol::WorkerId;

/// What other threads may ask about a worker's connections, at any time.
pub(crate) trait WorkerView: Send + Sync {
    /// How many it has accepted from sockets of its own.
    fn accepted(&self) -> u64;

    /// How many wait for it to take or to accept them.
    fn waiting(&self) -> usize;

    /// How many it has, those that wait in its queue among them.
    fn open(&self) -> usize;
}

/// What a worker has accepted from one socket of its own.
pub(crate) trait AcceptCounter: Send + Sync {
    /// How many connections, as the worker counts them.
    fn accepted(&self) -> u64;
}

/// What is counted of one worker.
pub(crate) struct WorkerCounters {
    counts: SharedCounts,
    stalled: AtomicBool,
    is_blocked: AtomicBool,
    view: Arc<dyn WorkerView>,
}

impl WorkerCounters {
    pub(crate) fn new(view: Arc<dyn WorkerView>) -> Self {
        let (counts, stalled, is_blocked) = Default::default();
        Self { counts, stalled, is_blocked, view }
    }

    /// Counts what became of one connection.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        self.counts.update(add);
    }

    /// Shows whether the worker gets nothing because its event loop is blocked.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Release);
    }

    /// Shows whether its event loop has been found blocked.
    pub(crate) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Release);
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stalled.load(Ordering::Acquire) || self.is_blocked.load(Ordering::Acquire)
    }

    pub(super) fn total(&self) -> Total {
        let (accepted, counts) = (self.view.accepted(), self.counts.get());
        Total { accepted, counts, ..Total::default() }
    }

    pub(super) fn stats(&self, id: WorkerId) -> WorkerStats {
        WorkerStats {
            id,
            counts: self.counts.get(),
            accepted: self.view.accepted(),
            waiting: self.view.waiting(),
            open: self.view.open(),
            stalled: self.stalled.load(Ordering::Acquire),
            is_blocked: self.is_blocked.load(Ordering::Acquire),
        }
    }
}

/// A worker that accepts from a socket of its own.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) worker: WorkerId,
    counter: Arc<dyn AcceptCounter>,
}

impl Owner {
    pub(crate) fn new(worker: WorkerId, counter: Arc<dyn AcceptCounter>) -> Self {
        Self { worker, counter }
    }

    /// How many connections it has accepted there, as it counts them.
    pub(super) fn accepted(&self) -> u64 {
        self.counter.accepted()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Owner({})", self.worker)
    }
}

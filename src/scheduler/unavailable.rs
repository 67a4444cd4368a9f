use std::collections::BTreeSet;

use crate::protocol::WorkerId;

/// Workers that could take no more connections when they were last queried.
#[derive(Debug, Default)]
pub(super) struct Unavailable {
    workers: BTreeSet<WorkerId>,
    /// Where the next round of tries begins.
    next: WorkerId,
}

impl Unavailable {
    pub(super) fn insert(&mut self, worker: WorkerId) {
        self.workers.insert(worker);
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, worker: WorkerId) -> bool {
        self.workers.remove(&worker)
    }

    /// Takes out one worker. Each has a turn, even if all are put back at once.
    pub(super) fn take(&mut self) -> Option<WorkerId> {
        let worker = self.workers.range(self.next..).next().or_else(|| self.workers.first());
        let worker = worker.copied()?;
        self.workers.remove(&worker);
        self.next = worker.wrapping_add(1);
        Some(worker)
    }
}

use std::collections::BTreeSet;

use crate::protocol::WorkerId;

/// Workers that can take no more, as far as is known, and are not asked for a while.
#[derive(Debug, Default)]
pub(super) struct Unavailable {
    workers: BTreeSet<WorkerId>,
    /// Those from here on are the next to be asked again.
    next: WorkerId,
}

impl Unavailable {
    pub(super) fn insert(&mut self, worker: WorkerId) {
        self.workers.insert(worker);
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, worker: WorkerId) -> bool {
        self.workers.remove(&worker)
    }

    /// Takes one out. Everybody has a turn, also if all are put back at once.
    pub(super) fn take(&mut self) -> Option<WorkerId> {
        let worker = self.workers.range(self.next..).next().or_else(|| self.workers.first());
        let worker = worker.copied()?;
        self.workers.remove(&worker);
        self.next = worker.wrapping_add(1);
        Some(worker)
    }
}

//! What is counted of listeners.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    shared::{SharedCounts, change, lock},
    values::{Counts, Histogram, ListenerStats},
    worker::Owner,
};
use crate::protocol::WorkerId;

/// Where a [`Histogram`] counts a time.
fn bucket(time: Duration) -> usize {
    let micros = time.as_micros();
    let bucket = (u128::BITS - micros.leading_zeros()) as usize;
    bucket.min(Histogram::default().buckets.len() - 1)
}

/// Who serves a listener.
#[derive(Debug, Default)]
struct Members {
    address: String,
    workers: Vec<WorkerId>,
    owners: Vec<Owner>,
    /// Connections accepted by owners that have left.
    accepted: u64,
}

/// What is counted of one listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    /// Changes with each worker that comes or goes, and never while one waits for anything.
    members: Mutex<Members>,
    /// Connections accepted by the engine.
    accepted: AtomicU64,
    counts: SharedCounts,
    waiting: AtomicUsize,
    parked: AtomicUsize,
    handover: [AtomicU64; 24],
    /// In nanoseconds.
    handover_sum: AtomicU64,
}

/// In nanoseconds.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl ListenerCounters {
    /// These serve it now.
    pub(crate) fn set_members(
        &self,
        address: &str,
        mut workers: Vec<WorkerId>,
        owners: Vec<Owner>,
    ) {
        workers.sort_unstable();
        let mut members = lock(&self.members);
        let remain = |owner: &Owner| owners.iter().any(|it| it.worker == owner.worker);
        let left = members.owners.iter().filter(|owner| !remain(owner));
        let accepted = left.fold(members.accepted, |sum, it| sum.saturating_add(it.accepted()));
        *members = Members { address: address.to_owned(), workers, owners, accepted };
    }

    /// The engine has accepted one more connection.
    pub(crate) fn add_accepted(&self) {
        change(&self.accepted, |accepted| accepted + 1);
    }

    /// Counts what became of one connection.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        self.counts.update(add);
    }

    /// Counts how long a connection took to be handed over.
    pub(crate) fn add_handover(&self, time: Duration) {
        change(&self.handover[bucket(time)], |count| count + 1);
        change(&self.handover_sum, |sum| sum.saturating_add(nanos(time)));
    }

    /// It is not handed over yet.
    pub(crate) fn remove_handover(&self, time: Duration) {
        change(&self.handover[bucket(time)], |count| count.saturating_sub(1));
        change(&self.handover_sum, |sum| sum.saturating_sub(nanos(time)));
    }

    /// So many wait in the engine.
    pub(crate) fn set_waiting(&self, count: usize) {
        self.waiting.store(count, Ordering::Release);
    }

    /// So many idle ones wait for their clients.
    pub(crate) fn set_parked(&self, count: usize) {
        self.parked.store(count, Ordering::Release);
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let members = lock(&self.members);
        let accepted = self.accepted.load(Ordering::Acquire).saturating_add(members.accepted);
        let owners = members.owners.iter();
        ListenerStats {
            address: members.address.clone(),
            workers: members.workers.clone(),
            accepted: owners.fold(accepted, |sum, owner| sum.saturating_add(owner.accepted())),
            counts: self.counts.get(),
            waiting: self.waiting.load(Ordering::Acquire),
            parked: self.parked.load(Ordering::Acquire),
            handover: Histogram {
                buckets: std::array::from_fn(|index| self.handover[index].load(Ordering::Acquire)),
                sum: self.handover_sum.load(Ordering::Acquire),
            },
        }
    }
}

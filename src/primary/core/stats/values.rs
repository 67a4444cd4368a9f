//! What is shown: plain values.

use std::collections::BTreeMap;

use super::super::supervise::report::SlotNumber;
use crate::protocol::WorkerId;

/// What has become of connections, since the listener was bound, or the worker forked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Put into the hand-off queues of workers. One that was taken back counts again.
    pub handed_over: u64,
    /// Taken back from workers that left, died or were paused.
    pub reclaimed: u64,
    /// Taken back from workers whose event loops were blocked.
    pub rescued: u64,
    /// Given back by workers that could not serve them.
    pub returned: u64,
    /// Left to the engine by workers that drain, while they were idle.
    pub moved: u64,
}

impl Counts {
    pub(super) fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            handed_over: combine(self.handed_over, other.handed_over),
            reclaimed: combine(self.reclaimed, other.reclaimed),
            rescued: combine(self.rescued, other.rescued),
            returned: combine(self.returned, other.returned),
            moved: combine(self.moved, other.moved),
        }
    }
}

/// How many of the times there were, by their length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The first counts times below 1 µs, each other one those that are not less than that of the
    /// one before it, and less than twice as long; the last also all longer ones.
    pub buckets: [u64; 24],
    /// All of them together, in nanoseconds.
    pub sum: u64,
}

impl Histogram {
    pub(super) fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            buckets: std::array::from_fn(|at| combine(self.buckets[at], other.buckets[at])),
            sum: combine(self.sum, other.sum),
        }
    }
}

/// What was counted, also by those that are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Connections accepted.
    pub accepted: u64,
    /// What became of them.
    pub counts: Counts,
    /// The times from being accepted to being handed over, where they are counted.
    pub handover: Histogram,
}

impl Total {
    pub(super) fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            accepted: combine(self.accepted, other.accepted),
            counts: self.counts.with(other.counts, &combine),
            handover: self.handover.with(other.handover, &combine),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

/// An address, with what was counted each time that it was bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressStats {
    /// The address, for people.
    pub address: String,
    /// Whether it is bound.
    pub is_bound: bool,
    /// The workers that serve it, in the order of their ids.
    pub workers: Vec<WorkerId>,
    /// What was counted.
    pub total: Total,
    /// How many connections wait in the engine, because no worker has room for them.
    pub waiting: usize,
    /// How many idle connections wait in the engine for their clients, since workers drained.
    pub parked: usize,
}

impl AddressStats {
    /// One that is not bound, of which nothing is known.
    pub(super) fn closed(address: String) -> Self {
        let (workers, total) = Default::default();
        Self { address, is_bound: false, workers, total, waiting: 0, parked: 0 }
    }
}

/// All that the engine has counted, those included that are gone: no count ever goes down.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The workers that there are.
    pub workers: BTreeMap<WorkerId, WorkerStats>,
    /// By slot, also of slots that there are no more.
    pub slots: BTreeMap<SlotNumber, Total>,
    /// In the order of their names.
    pub addresses: Vec<AddressStats>,
    /// Of all addresses.
    pub total: Total,
}

/// An address that the engine accepts connections from, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerStats {
    /// The address, for people: `127.0.0.1:8000`, `[::]:8000`, or a path.
    pub address: String,
    /// The workers that serve it, in the order of their ids.
    pub workers: Vec<WorkerId>,
    /// Connections accepted, by the engine and by workers.
    pub accepted: u64,
    /// What became of those that the engine accepted.
    pub counts: Counts,
    /// How many wait in the engine, because no worker has room for them.
    pub waiting: usize,
    /// How many idle connections wait in the engine for their clients, since workers drained.
    pub parked: usize,
    /// The times from being accepted to being handed over, for the first time.
    pub handover: Histogram,
}

/// A worker as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStats {
    /// Which one.
    pub id: WorkerId,
    /// Connections that it accepted itself, from sockets of its own.
    pub accepted: u64,
    /// What became of the connections that it was given.
    pub counts: Counts,
    /// How many wait for it to take or to accept them.
    pub waiting: usize,
    /// How many it has, those that wait in its hand-off queue among them.
    pub open: usize,
    /// True while the worker gets no connections because its event loop is blocked.
    pub stalled: bool,
    /// Whether its event loop has been found blocked, though perhaps no connection waits for it.
    pub is_blocked: bool,
}

impl WorkerStats {
    /// Whether its event loop is blocked, as far as is known.
    pub fn is_stuck(&self) -> bool {
        self.stalled || self.is_blocked
    }

    pub(super) fn total(&self) -> Total {
        Total { accepted: self.accepted, counts: self.counts, ..Total::default() }
    }
}

/// All that the engine knows of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// In the order in which they were bound.
    pub listeners: Vec<ListenerStats>,
    /// In the order of their ids.
    pub workers: Vec<WorkerStats>,
}

impl ListenerStats {
    pub(super) fn total(&self) -> Total {
        Total { accepted: self.accepted, counts: self.counts, handover: self.handover }
    }
}

use std::time::Duration;

use crate::protocol::WorkerId;

/// What has become of connections, since the listener was bound, or the worker forked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Put into the lanes of workers. One that was taken back counts again.
    pub handed_over: u64,
    /// Taken back from workers that left, died or were paused.
    pub reclaimed: u64,
    /// Taken back from workers whose event loops did not turn.
    pub rescued: u64,
    /// Given back by workers that could not serve them.
    pub returned: u64,
}

/// How many of the times there were, by their length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The first counts times below 1 µs, each other one those that are not less than that of the
    /// one before it, and less than twice as long; the last also all longer ones.
    pub buckets: [u64; 24],
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        let micros = time.as_micros();
        let bucket = (u128::BITS - micros.leading_zeros()) as usize;
        let last = self.buckets.len() - 1;
        self.buckets[bucket.min(last)] += 1;
    }
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
    /// How many it has, those that wait in its lane among them.
    pub open: usize,
    /// Whether it gets none because its event loop does not turn.
    pub stalled: bool,
}

/// All that the engine knows of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// In the order in which they were bound.
    pub listeners: Vec<ListenerStats>,
    /// In the order of their ids.
    pub workers: Vec<WorkerStats>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_their_power_of_two() {
        let mut histogram = Histogram::default();
        for nanos in [0, 999, 1000, 1999, 2000, 3999, 4000, 1_000_000, 1 << 60] {
            histogram.add(Duration::from_nanos(nanos));
        }
        let mut expected = [0; 24];
        for (bucket, count) in [(0, 2), (1, 2), (2, 2), (3, 1), (10, 1), (23, 1)] {
            expected[bucket] = count;
        }
        assert_eq!(histogram.buckets, expected);
    }
}

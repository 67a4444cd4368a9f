//! What is counted. The engine's thread counts, and other threads read at any time without asking it, so
//! they never wait for it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::protocol::{ListenerId, WorkerId};

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

/// How many of the times there were, by their length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The first counts times below 1 µs, each other one those that are not less than that of the
    /// one before it, and less than twice as long; the last also all longer ones.
    pub buckets: [u64; 24],
}

/// Where a [`Histogram`] counts a time.
fn bucket(time: Duration) -> usize {
    let micros = time.as_micros();
    let bucket = (u128::BITS - micros.leading_zeros()) as usize;
    bucket.min(Histogram::default().buckets.len() - 1)
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
}

/// All that the engine knows of connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// In the order in which they were bound.
    pub listeners: Vec<ListenerStats>,
    /// In the order of their ids.
    pub workers: Vec<WorkerStats>,
}

/// Adds to, or subtracts from, a number that only this thread writes.
fn change(number: &AtomicU64, change: impl FnOnce(u64) -> u64) {
    number.store(change(number.load(Ordering::Relaxed)), Ordering::Release);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No thread panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct SharedCounts {
    handed_over: AtomicU64,
    reclaimed: AtomicU64,
    rescued: AtomicU64,
    returned: AtomicU64,
    moved: AtomicU64,
}

impl SharedCounts {
    fn get(&self) -> Counts {
        let Self { handed_over, reclaimed, rescued, returned, moved } = self;
        let [handed_over, reclaimed, rescued, returned, moved] =
            [handed_over, reclaimed, rescued, returned, moved]
                .map(|count| count.load(Ordering::Acquire));
        Counts { handed_over, reclaimed, rescued, returned, moved }
    }

    fn update(&self, add: impl FnOnce(&mut Counts)) {
        let mut counts = self.get();
        add(&mut counts);
        self.handed_over.store(counts.handed_over, Ordering::Release);
        self.reclaimed.store(counts.reclaimed, Ordering::Release);
        self.rescued.store(counts.rescued, Ordering::Release);
        self.returned.store(counts.returned, Ordering::Release);
        self.moved.store(counts.moved, Ordering::Release);
    }
}

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
    view: Arc<dyn WorkerView>,
}

impl WorkerCounters {
    pub(crate) fn new(view: Arc<dyn WorkerView>) -> Self {
        Self { counts: SharedCounts::default(), stalled: AtomicBool::new(false), view }
    }

    /// Counts what became of one connection.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        self.counts.update(add);
    }

    /// Shows whether the worker gets nothing because its event loop is blocked.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Release);
    }

    fn stats(&self, id: WorkerId) -> WorkerStats {
        WorkerStats {
            id,
            counts: self.counts.get(),
            accepted: self.view.accepted(),
            waiting: self.view.waiting(),
            open: self.view.open(),
            stalled: self.stalled.load(Ordering::Acquire),
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
    fn accepted(&self) -> u64 {
        self.counter.accepted()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Owner({})", self.worker)
    }
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
    }

    /// It is not handed over yet.
    pub(crate) fn remove_handover(&self, time: Duration) {
        change(&self.handover[bucket(time)], |count| count.saturating_sub(1));
    }

    /// So many wait in the engine.
    pub(crate) fn set_waiting(&self, count: usize) {
        self.waiting.store(count, Ordering::Release);
    }

    /// So many idle ones wait for their clients.
    pub(crate) fn set_parked(&self, count: usize) {
        self.parked.store(count, Ordering::Release);
    }

    fn stats(&self) -> ListenerStats {
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
            },
        }
    }
}

/// What is counted, of all workers and listeners that there are.
#[derive(Default)]
pub(crate) struct Counters {
    workers: Mutex<BTreeMap<WorkerId, Arc<WorkerCounters>>>,
    listeners: Mutex<BTreeMap<ListenerId, Arc<ListenerCounters>>>,
}

impl Counters {
    pub(crate) fn add_worker(&self, id: WorkerId, counters: Arc<WorkerCounters>) {
        lock(&self.workers).insert(id, counters);
    }

    pub(crate) fn remove_worker(&self, id: WorkerId) {
        lock(&self.workers).remove(&id);
    }

    pub(crate) fn add_listener(&self, id: ListenerId, counters: Arc<ListenerCounters>) {
        lock(&self.listeners).insert(id, counters);
    }

    pub(crate) fn remove_listener(&self, id: ListenerId) {
        lock(&self.listeners).remove(&id);
    }

    /// All that is known now, by any thread.
    pub(crate) fn stats(&self) -> Stats {
        let workers = lock(&self.workers);
        let workers = workers.iter().map(|(&id, counters)| counters.stats(id)).collect();
        let listeners = lock(&self.listeners);
        let listeners = listeners.values().map(|counters| counters.stats()).collect();
        Stats { listeners, workers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_their_power_of_two() {
        let counters = ListenerCounters::default();
        for nanos in [0, 999, 1000, 1999, 2000, 3999, 4000, 1_000_000, 1 << 60] {
            counters.add_handover(Duration::from_nanos(nanos));
        }
        let histogram = counters.stats().handover;
        let mut expected = [0; 24];
        for (bucket, count) in [(0, 2), (1, 2), (2, 2), (3, 1), (10, 1), (23, 1)] {
            expected[bucket] = count;
        }
        assert_eq!(histogram.buckets, expected);
    }
}

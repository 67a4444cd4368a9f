//! What is counted. The engine's thread counts, and other threads read at any time without asking it, so
//! they never wait for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::supervise::report::SlotNumber;
use crate::protocol::{ListenerId, WorkerId};

/// How many addresses that are not bound are remembered, in case they are bound again.
const REMEMBERED: usize = 64;

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
    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
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
    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
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
    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            accepted: combine(self.accepted, other.accepted),
            counts: self.counts.with(other.counts, &combine),
            handover: self.handover.with(other.handover, &combine),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

/// A total that never goes down, whatever workers say that count in memory of their own.
#[derive(Debug, Clone, Copy, Default)]
struct Lasting {
    /// By those that are gone.
    ended: Total,
    /// What was shown last.
    shown: Total,
}

impl Lasting {
    /// To show, where those that are there have counted so much.
    fn show(&mut self, present: Total) -> Total {
        self.shown = self.shown.with(self.ended.plus(present), u64::max);
        self.shown
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
    fn closed(address: String) -> Self {
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
    /// Whether its event loop has been found blocked, though perhaps no connection waits for it.
    pub is_blocked: bool,
}

impl WorkerStats {
    /// Whether its event loop is blocked, as far as is known.
    pub fn is_stuck(&self) -> bool {
        self.stalled || self.is_blocked
    }

    fn total(&self) -> Total {
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

    fn is_stuck(&self) -> bool {
        self.stalled.load(Ordering::Acquire) || self.is_blocked.load(Ordering::Acquire)
    }

    fn total(&self) -> Total {
        let (accepted, counts) = (self.view.accepted(), self.counts.get());
        Total { accepted, counts, ..Total::default() }
    }

    fn stats(&self, id: WorkerId) -> WorkerStats {
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
                sum: self.handover_sum.load(Ordering::Acquire),
            },
        }
    }
}

impl ListenerStats {
    fn total(&self) -> Total {
        Total { accepted: self.accepted, counts: self.counts, handover: self.handover }
    }
}

/// A supervised worker has a slot.
type Slotted = (Option<SlotNumber>, Arc<WorkerCounters>);

#[derive(Default)]
struct Workers {
    present: BTreeMap<WorkerId, Slotted>,
    slots: BTreeMap<SlotNumber, Lasting>,
}

/// What is remembered of an address.
#[derive(Default)]
struct Address {
    total: Lasting,
    /// When it was closed last: a number that grows.
    closed: u64,
}

#[derive(Default)]
struct Listeners {
    bound: BTreeMap<ListenerId, Arc<ListenerCounters>>,
    addresses: BTreeMap<String, Address>,
    total: Lasting,
    /// How many were closed.
    closed: u64,
}

impl Listeners {
    /// It is closed.
    fn remove(&mut self, id: ListenerId) {
        let Some(counters) = self.bound.remove(&id) else { return };
        let stats = counters.stats();
        self.closed += 1;
        self.total.ended = self.total.ended.plus(stats.total());
        let address = self.addresses.entry(stats.address.clone()).or_default();
        address.closed = self.closed;
        address.total.ended = address.total.ended.plus(stats.total());
        // Not with each one: many may be closed at once.
        if self.addresses.len() > self.bound.len() + 2 * REMEMBERED {
            let bound: BTreeSet<_> = self.bound.values().map(|it| it.stats().address).collect();
            self.forget_oldest(|address| bound.contains(address));
        }
    }

    /// Forgets the addresses that were closed first, if too many are.
    fn forget_oldest(&mut self, is_bound: impl Fn(&str) -> bool) {
        let addresses = self.addresses.iter().filter(|(address, _)| !is_bound(address));
        let mut closed: Vec<_> =
            addresses.map(|(address, it)| (it.closed, address.clone())).collect();
        closed.sort_unstable();
        let surplus = closed.len().saturating_sub(REMEMBERED);
        for (_, address) in &closed[..surplus] {
            self.addresses.remove(address);
        }
    }

    fn observe(&mut self) -> (Vec<AddressStats>, Total) {
        // Listeners of one address count together.
        let mut bound = BTreeMap::<String, AddressStats>::new();
        let mut sum = Total::default();
        for it in self.bound.values().map(|it| it.stats()) {
            let total = it.total();
            sum = sum.plus(total);
            let address = it.address.clone();
            let same = bound.entry(it.address).or_insert_with(|| AddressStats::closed(address));
            same.is_bound = true;
            same.workers.extend(it.workers);
            same.total = same.total.plus(total);
            same.waiting += it.waiting;
            same.parked += it.parked;
        }
        for address in bound.keys() {
            self.addresses.entry(address.clone()).or_default();
        }
        self.forget_oldest(|address| bound.contains_key(address));
        let addresses = self.addresses.iter_mut().map(|(address, kept)| {
            let now = bound.remove(address);
            let mut shown = now.unwrap_or_else(|| AddressStats::closed(address.clone()));
            shown.workers.sort_unstable();
            shown.workers.dedup();
            shown.total = kept.total.show(shown.total);
            shown
        });
        (addresses.collect(), self.total.show(sum))
    }
}

/// What is counted, of all workers and listeners.
#[derive(Default)]
pub(crate) struct Counters {
    workers: Mutex<Workers>,
    listeners: Mutex<Listeners>,
}

impl Counters {
    /// Counts of the worker belong to its slot as well, if it has one.
    pub(crate) fn add_worker(
        &self,
        id: WorkerId,
        slot: Option<SlotNumber>,
        counters: Arc<WorkerCounters>,
    ) {
        lock(&self.workers).present.insert(id, (slot, counters));
    }

    /// Nothing more is counted of the worker; what was stays with its slot.
    pub(crate) fn remove_worker(&self, id: WorkerId) {
        let mut workers = lock(&self.workers);
        if let Some((Some(slot), counters)) = workers.present.remove(&id) {
            let total = workers.slots.entry(slot).or_default();
            total.ended = total.ended.plus(counters.total());
        }
    }

    pub(crate) fn add_listener(&self, id: ListenerId, counters: Arc<ListenerCounters>) {
        lock(&self.listeners).bound.insert(id, counters);
    }

    pub(crate) fn remove_listener(&self, id: ListenerId) {
        lock(&self.listeners).remove(id);
    }

    /// All that is known now, by any thread.
    pub(crate) fn stats(&self) -> Stats {
        let workers = lock(&self.workers);
        let workers = workers.present.iter().map(|(&id, (_, it))| it.stats(id)).collect();
        let listeners = lock(&self.listeners);
        let listeners = listeners.bound.values().map(|counters| counters.stats()).collect();
        Stats { listeners, workers }
    }

    /// The same, and what was counted before, for any thread.
    pub(crate) fn observe(&self) -> Observed {
        let mut workers = lock(&self.workers);
        let Workers { present, slots } = &mut *workers;
        let mut by_slot = BTreeMap::<_, Total>::new();
        let mut stats = BTreeMap::new();
        for (&id, (slot, counters)) in present {
            let its = counters.stats(id);
            if let Some(slot) = *slot {
                let total = by_slot.entry(slot).or_default();
                *total = total.plus(its.total());
                slots.entry(slot).or_default();
            }
            stats.insert(id, its);
        }
        let show = |(&slot, kept): (&SlotNumber, &mut Lasting)| {
            (slot, kept.show(by_slot.get(&slot).copied().unwrap_or_default()))
        };
        let slots = slots.iter_mut().map(show).collect();
        drop(workers);
        let (addresses, total) = lock(&self.listeners).observe();
        Observed { workers: stats, slots, addresses, total }
    }

    /// What was counted at all addresses.
    pub(crate) fn total(&self) -> Total {
        let mut listeners = lock(&self.listeners);
        let Listeners { bound, total, .. } = &mut *listeners;
        let present = bound.values().map(|it| it.stats().total());
        total.show(present.fold(Total::default(), Total::plus))
    }

    /// Whether the event loop of the worker is blocked, as far as is known.
    pub(crate) fn is_stuck(&self, id: WorkerId) -> bool {
        lock(&self.workers).present.get(&id).is_some_and(|(_, counters)| counters.is_stuck())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread_time;

    /// A worker that says that it has accepted so many.
    struct Says(AtomicU64);

    impl WorkerView for Says {
        fn accepted(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn waiting(&self) -> usize {
            0
        }

        fn open(&self) -> usize {
            0
        }
    }

    impl AcceptCounter for Says {
        fn accepted(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn worker(
        counters: &Counters,
        id: WorkerId,
        slot: SlotNumber,
    ) -> (Arc<Says>, Arc<WorkerCounters>) {
        let view = Arc::new(Says(AtomicU64::new(0)));
        let worker = Arc::new(WorkerCounters::new(Arc::clone(&view) as _));
        counters.add_worker(id, Some(slot), Arc::clone(&worker));
        (view, worker)
    }

    #[test]
    fn a_slot_keeps_the_counts_of_workers_that_are_gone() {
        let counters = Counters::default();
        let of_slot = || {
            let total = counters.observe().slots[&3];
            (total.accepted, total.counts.handed_over)
        };
        let (view, first) = worker(&counters, 1, 3);
        view.0.store(5, Ordering::Relaxed);
        first.count(|counts| counts.handed_over += 2);
        assert_eq!(of_slot(), (5, 2));
        // While it drains, the next one is there already.
        let (_, second) = worker(&counters, 2, 3);
        second.count(|counts| counts.handed_over += 1);
        assert_eq!(of_slot(), (5, 3));
        counters.remove_worker(1);
        assert_eq!(of_slot(), (5, 3));
        counters.remove_worker(2);
        assert_eq!(of_slot(), (5, 3));
        assert!(counters.observe().workers.is_empty());
        worker(&counters, 3, 3).1.count(|counts| counts.handed_over += 1);
        assert_eq!(of_slot(), (5, 4));
    }

    #[test]
    fn a_worker_that_counts_backwards_takes_nothing_away() {
        let counters = Counters::default();
        let (view, _) = worker(&counters, 1, 0);
        for (said, shown) in [(7, 7), (3, 7), (8, 8)] {
            view.0.store(said, Ordering::Relaxed);
            assert_eq!(counters.observe().slots[&0].accepted, shown);
        }
        view.0.store(0, Ordering::Relaxed);
        counters.remove_worker(1);
        assert_eq!(counters.observe().slots[&0].accepted, 8);
    }

    fn bind(counters: &Counters, id: ListenerId, address: &str) -> Arc<ListenerCounters> {
        let listener = Arc::new(ListenerCounters::default());
        listener.set_members(address, vec![1], Vec::new());
        counters.add_listener(id, Arc::clone(&listener));
        listener
    }

    #[test]
    fn an_address_goes_on_counting_when_it_is_bound_again() {
        let counters = Counters::default();
        let of_address = |address: &str| {
            let addresses = counters.observe().addresses;
            let found = addresses.into_iter().find(|it| it.address == address);
            found.map(|it| (it.is_bound, it.total.accepted, it.total.handover.sum))
        };
        for round in 1..=3 {
            let listener = bind(&counters, round, "a");
            listener.add_accepted();
            listener.add_handover(Duration::from_nanos(10));
            let count = u64::from(round);
            assert_eq!(of_address("a"), Some((true, count, count * 10)));
            counters.remove_listener(round);
            assert_eq!(of_address("a"), Some((false, count, count * 10)));
        }
        // Two listeners of one address count together.
        bind(&counters, 4, "a").add_accepted();
        bind(&counters, 5, "a").add_accepted();
        assert_eq!(of_address("a"), Some((true, 5, 30)));
        assert_eq!(counters.total().accepted, 5);
    }

    #[test]
    fn only_so_many_closed_addresses_are_remembered_and_the_total_keeps_all() {
        let counters = Counters::default();
        bind(&counters, 1, "bound").add_accepted();
        for id in 2..200 {
            bind(&counters, id, &format!("{id}")).add_accepted();
            counters.remove_listener(id);
        }
        let observed = counters.observe();
        assert_eq!(observed.addresses.len(), REMEMBERED + 1);
        let has = |name: &str| observed.addresses.iter().any(|it| it.address == name);
        assert!(has("bound") && has("199") && !has("2"));
        assert_eq!(observed.total.accepted, 199);
    }

    #[test]
    fn many_addresses_cost_no_more_than_their_number() {
        const MANY: u32 = 4000;
        let counters = Counters::default();
        let start = thread_time();
        for id in 0..MANY {
            bind(&counters, id, &format!("{id}")).add_accepted();
        }
        assert_eq!(counters.observe().addresses.len(), MANY as usize);
        for id in 0..MANY {
            counters.remove_listener(id);
        }
        let observed = counters.observe();
        assert_eq!(observed.addresses.len(), REMEMBERED);
        assert_eq!(observed.total.accepted, u64::from(MANY));
        let time = thread_time() - start;
        assert!(time < Duration::from_secs(3), "{time:?}");
    }

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

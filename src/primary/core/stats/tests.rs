use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{addresses::REMEMBERED, *};
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

fn worker(counters: &Counters, id: WorkerId, slot: SlotNumber) -> (Arc<Says>, Arc<WorkerCounters>) {
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

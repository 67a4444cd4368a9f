//! Counts that go on in another primary: what one has counted, as differences, and the sums of both.

use std::collections::BTreeMap;

use super::{
    super::supervise::report::SlotNumber,
    Counters,
    shared::lock,
    values::{Counts, Histogram, Total},
};
use crate::protocol::upgrade::{Counted, CountedOf};

/// The names of a total's counts.
const ACCEPTED: &str = "accepted";
const HANDED_OVER: &str = "handedOver";
const RECLAIMED: &str = "reclaimed";
const RESCUED: &str = "rescued";
const RETURNED: &str = "returned";
const MOVED: &str = "moved";
/// The sum of a histogram, in nanoseconds.
const HANDOVER_TIME: &str = "handoverTime";

/// What another primary has been told already.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    slots: BTreeMap<SlotNumber, Total>,
    addresses: BTreeMap<String, Total>,
    total: Total,
}

impl Counters {
    /// What has been counted since the last call for this carrier.
    pub(crate) fn carried(&self, carrier: &mut Carrier) -> Vec<Counted> {
        let observed = self.observe();
        let mut carried = Vec::new();
        for (slot, now) in observed.slots {
            let before = carrier.slots.insert(slot, now).unwrap_or_default();
            carried.extend(counted(CountedOf::Slot(slot), now.since(before)));
        }
        for address in observed.addresses {
            let (name, now) = (address.address, address.total);
            let before = carrier.addresses.insert(name.clone(), now).unwrap_or_default();
            // An address may have been forgotten, and be counted from the start again.
            let before = if now.accepted < before.accepted { Total::default() } else { before };
            carried.extend(counted(CountedOf::Address(name), now.since(before)));
        }
        let before = std::mem::replace(&mut carrier.total, observed.total);
        carried.extend(counted(CountedOf::Program, observed.total.since(before)));
        carried
    }

    /// Adds what another primary has counted.
    pub(crate) fn add_carried(&self, counted: &Counted) {
        let total = total_of(counted);
        match &counted.of {
            CountedOf::Slot(slot) => {
                let mut workers = lock(&self.workers);
                let ended = &mut workers.slots.entry(*slot).or_default().ended;
                *ended = ended.plus(total);
            }
            CountedOf::Address(address) => lock(&self.listeners).add(address, total),
            CountedOf::Program => {
                let ended = &mut lock(&self.listeners).total.ended;
                *ended = ended.plus(total);
            }
        }
    }
}

impl Total {
    /// What was counted after this.
    fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }
}

/// As a message, if there is anything.
fn counted(of: CountedOf, total: Total) -> Option<Counted> {
    if total == Total::default() {
        return None;
    }
    let Total { accepted, counts, handover } = total;
    let Counts { handed_over, reclaimed, rescued, returned, moved } = counts;
    let named = [
        (ACCEPTED, accepted),
        (HANDED_OVER, handed_over),
        (RECLAIMED, reclaimed),
        (RESCUED, rescued),
        (RETURNED, returned),
        (MOVED, moved),
        (HANDOVER_TIME, handover.sum),
    ];
    let counts = named.into_iter().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(name, count)| (name.to_owned(), count)).collect();
    let is_empty = handover.buckets.iter().all(|count| *count == 0);
    let buckets = if is_empty { Vec::new() } else { handover.buckets.to_vec() };
    Some(Counted { of, counts, buckets })
}

fn total_of(counted: &Counted) -> Total {
    let count = |name| counted.counts.get(name).copied().unwrap_or_default();
    let mut handover = Histogram { sum: count(HANDOVER_TIME), ..Histogram::default() };
    let last = handover.buckets.len() - 1;
    for (at, count) in counted.buckets.iter().enumerate() {
        // Longer times than this release tells apart are in its last bucket.
        let bucket = &mut handover.buckets[at.min(last)];
        *bucket = bucket.saturating_add(*count);
    }
    let counts = Counts {
        handed_over: count(HANDED_OVER),
        reclaimed: count(RECLAIMED),
        rescued: count(RESCUED),
        returned: count(RETURNED),
        moved: count(MOVED),
    };
    Total { accepted: count(ACCEPTED), counts, handover }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{
        super::{AcceptCounter, ListenerCounters, WorkerCounters, WorkerView},
        *,
    };

    struct Accepts(u64);

    impl WorkerView for Accepts {
        fn accepted(&self) -> u64 {
            self.0
        }

        fn waiting(&self) -> usize {
            0
        }

        fn open(&self) -> usize {
            0
        }
    }

    impl AcceptCounter for Accepts {
        fn accepted(&self) -> u64 {
            self.0
        }
    }

    /// One address, with connections and times, and a worker in slot 3.
    fn counting(counters: &Counters, times: u64) -> Arc<ListenerCounters> {
        let listener = Arc::new(ListenerCounters::default());
        listener.set_members("[::]:80", vec![1], Vec::new());
        counters.add_listener(1, Arc::clone(&listener));
        count(&listener, times);
        let worker = Arc::new(WorkerCounters::new(Arc::new(Accepts(7))));
        counters.add_worker(1, Some(3), Arc::clone(&worker));
        worker.count(|counts| counts.moved += 2);
        listener
    }

    fn count(listener: &ListenerCounters, times: u64) {
        for _ in 0..times {
            listener.add_accepted();
            listener.count(|counts| counts.handed_over += 1);
            listener.add_handover(Duration::from_micros(5));
        }
    }

    fn carry(from: &Counters, carrier: &mut Carrier, to: &Counters) -> usize {
        let carried = from.carried(carrier);
        carried.iter().for_each(|counted| to.add_carried(counted));
        carried.len()
    }

    #[test]
    fn another_primary_goes_on_with_what_was_counted_once() {
        let (old, new, mut carrier) =
            (Counters::default(), Counters::default(), Carrier::default());
        let listener = counting(&old, 5);
        assert_eq!(carry(&old, &mut carrier, &new), 3);
        assert_eq!(carry(&old, &mut carrier, &new), 0, "nothing has been counted since");
        count(&listener, 2);
        assert_eq!(carry(&old, &mut carrier, &new), 2);
        // What is gone stays counted, and is not counted again.
        old.remove_worker(1);
        old.remove_listener(1);
        assert_eq!(carry(&old, &mut carrier, &new), 0);
        let (before, after) = (old.observe(), new.observe());
        assert_eq!(after.slots, before.slots);
        assert_eq!(after.addresses, before.addresses);
        assert_eq!(after.total, before.total);
        assert_eq!(new.total(), old.total());
    }

    #[test]
    fn both_count_at_the_same_address_and_in_the_same_slot() {
        let (old, new, mut carrier) =
            (Counters::default(), Counters::default(), Carrier::default());
        counting(&new, 3);
        counting(&old, 5);
        let shown = new.observe();
        carry(&old, &mut carrier, &new);
        let sum = new.observe();
        assert_eq!(sum.total.accepted, 8);
        assert_eq!(sum.addresses[0].total.handover.buckets[3], 8);
        assert_eq!(sum.addresses[0].workers, shown.addresses[0].workers);
        assert_eq!(sum.slots[&3].counts.moved, 4);
        assert_eq!(sum.slots[&3].accepted, 14);
    }

    #[test]
    fn names_and_buckets_of_other_releases_do_no_harm() {
        let counters = Counters::default();
        let counts = [("later".into(), 5), (ACCEPTED.into(), u64::MAX)].into();
        let buckets = vec![1; 30];
        let counted = Counted { of: CountedOf::Address("@a".into()), counts, buckets };
        counters.add_carried(&counted);
        counters.add_carried(&counted);
        let shown = &counters.observe().addresses[0];
        assert_eq!((&*shown.address, shown.is_bound), ("@a", false));
        assert_eq!(shown.total.accepted, u64::MAX);
        assert_eq!(shown.total.handover.buckets[23], 14);
        let program =
            Counted { of: CountedOf::Program, counts: Default::default(), buckets: vec![] };
        counters.add_carried(&program);
        assert_eq!(counters.total(), Total::default());
    }
}

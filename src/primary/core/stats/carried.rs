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

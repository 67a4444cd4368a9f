//! What is counted. The engine's thread counts, and other threads read at any time without asking it, so
//! they never wait for it.
//!
//! - [`values`]: what they read; [`shared`]: how it is counted,
//! - [`worker`], [`listener`]: what is counted of each; [`addresses`]: what stays of those that are gone,
//! - [`carried`]: what goes on in another primary,
//! - here: all of them.

mod addresses;
mod carried;
mod listener;
mod shared;
#[cfg(test)]
mod tests;
mod values;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

pub use self::values::{
    AddressStats, Counts, Histogram, ListenerStats, Observed, Stats, Total, WorkerStats,
};
use self::{
    addresses::{Lasting, Listeners},
    shared::lock,
};
pub(crate) use self::{
    carried::Carrier,
    listener::ListenerCounters,
    worker::{AcceptCounter, Owner, WorkerCounters, WorkerView},
};
use super::supervise::report::SlotNumber;
use crate::protocol::{ListenerId, WorkerId};

/// A supervised worker has a slot.
type Slotted = (Option<SlotNumber>, Arc<WorkerCounters>);

#[derive(Default)]
struct Workers {
    present: BTreeMap<WorkerId, Slotted>,
    slots: BTreeMap<SlotNumber, Lasting>,
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

//! What was counted at addresses, also when they were bound before: these counts never go down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    listener::ListenerCounters,
    values::{AddressStats, Total},
};
use crate::protocol::ListenerId;

/// How many addresses that are not bound are remembered, in case they are bound again.
pub(super) const REMEMBERED: usize = 64;

/// A total that never goes down, whatever workers say that count in memory of their own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lasting {
    /// By those that are gone.
    pub(super) ended: Total,
    /// What was shown last.
    shown: Total,
}

impl Lasting {
    /// To show, where those that are there have counted so much.
    pub(super) fn show(&mut self, present: Total) -> Total {
        self.shown = self.shown.with(self.ended.plus(present), u64::max);
        self.shown
    }
}

/// What is remembered of an address.
#[derive(Default)]
struct Address {
    total: Lasting,
    /// When it was closed last: a number that grows.
    closed: u64,
}

#[derive(Default)]
pub(super) struct Listeners {
    pub(super) bound: BTreeMap<ListenerId, Arc<ListenerCounters>>,
    addresses: BTreeMap<String, Address>,
    pub(super) total: Lasting,
    /// How many were closed.
    closed: u64,
}

impl Listeners {
    /// It is closed.
    pub(super) fn remove(&mut self, id: ListenerId) {
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

    /// So much was counted at an address by another primary.
    pub(super) fn add(&mut self, address: &str, total: Total) {
        let ended = &mut self.addresses.entry(address.to_owned()).or_default().total.ended;
        *ended = ended.plus(total);
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

    pub(super) fn observe(&mut self) -> (Vec<AddressStats>, Total) {
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

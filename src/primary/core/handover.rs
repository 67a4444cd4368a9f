//! Another primary, the successor, takes over. It gets duplicates of the listening sockets while this primary serves.
//! Then this one stops accepting, and can go back to it until the successor serves. From then on the successor gets
//! every connection that waits here, or comes from workers, which all drain.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Driver, Forwarded, SuccessorOrder},
    listener::{Distribution, Listener},
    parked::Waiting,
    state::Core,
    successor::{Offer, Phase, Successor},
};
use crate::protocol::{ListenerId, WorkerId};

/// How often it is looked whether all has come that is to come.
const LOOK: Duration = Duration::from_millis(10);

/// How long that is done after all workers have ended, at most, unless another primary still sends connections.
const PATIENCE: Duration = Duration::from_secs(5);

impl<D: Driver> Core<D> {
    /// What a successor gets: all listeners that have sockets. From now on these stay open, whatever workers do.
    pub(crate) fn offer(&mut self) -> Vec<Offer<D::Socket>> {
        let bound = self.listeners.iter().filter(|(_, listener)| listener.is_bound());
        let is_supervised = |worker| self.supervisor.as_ref().is_some_and(|it| it.has(worker));
        let offers = bound.map(|(&id, listener)| Offer::of(id, listener, is_supervised));
        let mut offers: Vec<_> = offers.collect();
        offers.sort_unstable_by_key(|it| it.listener);
        self.successor = Some(Successor::new(offers.iter().map(|it| it.listener)));
        offers
    }

    /// The successor's workers are ready, and serve these listeners; each with whether one of them takes idle
    /// connections.
    pub(crate) fn successor_ready(
        &mut self,
        takes: impl IntoIterator<Item = (ListenerId, bool)>,
        now: Instant,
    ) {
        if let Some(successor) = &mut self.successor {
            for (listener, is_http) in takes {
                if successor.offered.contains(&listener) {
                    *successor.takes.entry(listener).or_default() |= is_http;
                }
            }
        }
        self.supervise(now, |supervisor| supervisor.successor_ready());
    }

    /// The successor has ended though it served: it gets nothing more.
    pub(crate) fn lose_successor(&mut self, now: Instant) {
        let Some(successor) = &mut self.successor else {
            return;
        };
        // Workers are to keep what they have.
        successor.takes.values_mut().for_each(|is_http| *is_http = false);
        let taken: Vec<_> = successor.takes.keys().copied().collect();
        for listener in taken {
            self.tell_takers(listener, Duration::ZERO, now);
        }
    }

    /// Accepts nothing more at what the successor was offered.
    pub(super) fn stop_accepting(&mut self) {
        if let Some(successor) = &mut self.successor {
            successor.phase = Phase::Committing;
        }
    }

    /// The successor is gone before it has served: everything is as it was. Returns the workers that are to get sockets
    /// of their own, which they could not meanwhile.
    pub(crate) fn accept_again(&mut self, now: Instant) -> Vec<(ListenerId, WorkerId)> {
        let Some(Successor { phase, offered, unserved, .. }) = self.successor.take() else {
            return Vec::new();
        };
        if phase == Phase::Committing {
            for &listener in &offered {
                if let Some(distribution) = self.distribution(listener) {
                    distribution.notify_acceptors();
                }
            }
        }
        for (listener, timeout) in unserved {
            self.left(listener, timeout, now);
        }
        let listeners = offered.into_iter().filter_map(|id| Some((id, self.listeners.get(&id)?)));
        let members =
            listeners.flat_map(|(id, listener)| listener.members.keys().map(move |&it| (id, it)));
        members.filter(|&(listener, worker)| self.lacks_socket(worker, listener)).collect()
    }

    /// Whether the engine accepts no connections of the listener, because the successor does, or may come to do so.
    pub(super) fn has_stopped_accepting(&self, listener: ListenerId) -> bool {
        let is_left_to_it =
            |it: &Successor| it.phase != Phase::Offered && it.offered.contains(&listener);
        self.successor.as_ref().is_some_and(is_left_to_it)
    }

    /// Whether the successor serves the listener, and gets all of its connections.
    pub(crate) fn is_handed_over(&self, listener: ListenerId) -> bool {
        self.successor.as_ref().is_some_and(|it| it.serves() && it.takes.contains_key(&listener))
    }

    /// Whether there is a successor that may have the listener's sockets, so that they are not to be closed, and no
    /// others are to be bound, which it would not have.
    pub(super) fn is_offered(&self, listener: ListenerId) -> bool {
        self.successor.as_ref().is_some_and(|it| !it.serves() && it.offered.contains(&listener))
    }

    /// The last worker has left an offered listener. Says whether the listener therefore stays.
    pub(super) fn keep_offered(&mut self, listener: ListenerId, timeout: Duration) -> bool {
        let is_offered = self.is_offered(listener);
        if let Some(successor) = self.successor.as_mut().filter(|_| is_offered) {
            successor.unserved.insert(listener, timeout);
        }
        is_offered
    }

    /// Whether idle connections of the listener can go to a worker other than this one: of the successor, if that
    /// has it.
    pub(super) fn has_taker_beside(&self, worker: Option<WorkerId>, listener: ListenerId) -> bool {
        if let Some(successor) = self.successor.as_ref().filter(|it| it.serves())
            && let Some(is_http) = successor.takes.get(&listener)
        {
            return *is_http;
        }
        self.listeners.get(&listener).is_some_and(|it| match worker {
            Some(worker) => it.has_taker_beside(worker),
            None => it.has_taker(),
        })
    }

    /// The successor serves: it gets all that waits, and from now on all that comes.
    pub(super) fn begin_hand_over(&mut self, now: Instant) {
        let Some(successor) = &mut self.successor else {
            return;
        };
        successor.phase = Phase::Serving;
        let unserved = std::mem::take(&mut successor.unserved);
        // Workers of the successor may still come to serve those that none does yet.
        for listener in successor.offered.iter().filter_map(|id| self.listeners.get(id)) {
            listener.disown_sockets();
        }
        let mut taken: Vec<_> = successor.takes.keys().copied().collect();
        taken.sort_unstable();
        for &id in &taken {
            self.tell_takers(id, Duration::ZERO, now);
            self.forward_waiting(id, now);
        }
        for (listener, timeout) in unserved {
            self.left(listener, timeout, now);
        }
    }

    /// Sends what waits at the listener to the successor.
    pub(super) fn forward_waiting(&mut self, id: ListenerId, now: Instant) {
        self.forward_pending(id);
        let Self { driver, listeners, .. } = self;
        let found = listeners.get_mut(&id).and_then(Listener::distribution_mut);
        let Some(distribution) = found else {
            return;
        };
        for Waiting { connection, until } in distribution.take_parked() {
            let left = until.map(|until| until.saturating_duration_since(now));
            driver.forward(id, connection, Forwarded::Idle { left });
        }
    }

    /// Sends the connections that wait for a worker to the successor.
    pub(super) fn forward_pending(&mut self, id: ListenerId) {
        let Self { driver, listeners, .. } = self;
        let mut found = listeners.get_mut(&id).and_then(Listener::distribution_mut);
        while let Some(pending) = found.as_deref_mut().and_then(Distribution::take_pending) {
            let prefers_http = pending.origin.prefers_http();
            driver.forward(id, pending.connection, Forwarded::New { prefers_http });
        }
    }

    /// All workers have ended. Tells the driver so when all has come that they have left.
    pub(super) fn end_hand_over(&mut self, now: Instant) {
        if let Some(successor) = &mut self.successor {
            successor.phase = Phase::Ending(now + PATIENCE);
        }
        self.look_at_hand_over(now);
    }

    pub(super) fn look_at_hand_over(&mut self, now: Instant) {
        let until = match self.successor.as_ref().map(|it| it.phase) {
            Some(Phase::Ending(until)) => until,
            _ => now,
        };
        let may_come =
            !self.owed.is_empty() || !self.departed.is_empty() || !self.returning.is_empty();
        if self.follows || (now < until && (may_come || self.has_ended_connections())) {
            return self.deadlines.add(now + LOOK, Due::HandOver);
        }
        let taken = self.successor.as_mut().map(|it| std::mem::take(&mut it.takes));
        for listener in taken.unwrap_or_default().into_keys() {
            self.shut(listener);
        }
        self.driver.successor(SuccessorOrder::End);
    }

    /// Whether clients have yet to read that their connections have ended.
    fn has_ended_connections(&self) -> bool {
        let successor = self.successor.as_ref();
        let mut taken = successor.into_iter().flat_map(|it| it.takes.keys());
        taken.any(|id| {
            let listener = self.listeners.get(id);
            listener.and_then(Listener::distribution).is_some_and(Distribution::has_waiting)
        })
    }
}

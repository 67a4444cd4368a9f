//! A primary that stands by accepts nothing, and its workers get nothing, until it takes the place of another one.
//! Then connections come from that one which it had accepted, and not served.

use std::time::Instant;

use super::{
    driver::{Driver, HandOver, Lanes},
    listener::{Listener, Membership},
    state::Core,
};
use crate::protocol::{
    ListenerId, WorkerId,
    control::{BoundAddress, Query},
};

impl<D: Driver> Core<D> {
    /// Whether nothing is accepted, because another primary still serves.
    pub(crate) fn stands_by(&self) -> bool {
        self.stands_by
    }

    /// Whether this primary is to serve as soon as the other one does not: it has not failed, and does not stop.
    pub(crate) fn may_take_place(&self) -> bool {
        self.stands_by && self.supervisor.as_ref().is_some_and(|it| it.may_take_place())
    }

    /// Whether the workers are well, and this primary only waits for its turn.
    pub(crate) fn is_prepared(&self) -> bool {
        self.may_take_place() && self.supervisor.as_ref().is_some_and(|it| it.is_prepared())
    }

    /// Whether it is not known yet on which addresses workers listen: they have not been ready.
    pub(crate) fn waits_for_workers(&self) -> bool {
        self.supervisor.as_ref().is_some_and(|it| it.waits_for_workers())
    }

    /// The other primary accepts no more: this one does from now on.
    pub(crate) fn take_place(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.stands_by, false) {
            return;
        }
        // Workers of the program's own are withheld too.
        let supervisor = self.supervisor.as_ref();
        let has_slot = |id: &WorkerId| supervisor.is_some_and(|it| it.has(*id));
        let others: Vec<_> = self.workers.keys().copied().filter(|id| !has_slot(id)).collect();
        for id in others {
            self.admit(id, now);
        }
        self.supervise(now, |supervisor| supervisor.take_place());
        for listener in self.listeners.values() {
            if let Some(distribution) = listener.distribution() {
                distribution.notify_acceptors();
            }
        }
    }

    /// The workers that are to accept from sockets of their own, and have none.
    pub(crate) fn lacking_sockets(&self) -> Vec<(ListenerId, WorkerId)> {
        let pairs = self
            .listeners
            .iter()
            .flat_map(|(&listener, it)| it.members.keys().map(move |&worker| (listener, worker)));
        pairs.filter(|&(listener, worker)| self.lacks_socket(worker, listener)).collect()
    }

    /// Whether there is this listener, and workers serve it, or may come to do so, or the successor does.
    pub(crate) fn is_alive(&self, listener: ListenerId) -> bool {
        self.is_handed_over(listener)
            || self.listeners.get(&listener).is_some_and(|it| it.is_served() || it.is_waiting())
    }

    /// The primary whose place this one takes may send connections until it is said that it does not.
    pub(crate) fn set_following(&mut self, follows: bool) {
        self.follows = follows;
    }

    /// The listener of what another primary had bound to this address, by this query.
    pub(crate) fn listener_for(
        &self,
        query: &Query,
        address: Option<&BoundAddress>,
    ) -> Option<ListenerId> {
        let alive = || self.listeners.iter().filter(|(id, _)| self.is_alive(**id));
        let by_address = |it: &Listener<D>| address.is_some() && it.address.as_ref() == address;
        let found = alive().find(|(_, it)| it.is_for(query));
        found.or_else(|| alive().find(|(_, it)| by_address(it))).map(|(&id, _)| id)
    }

    /// Whether connections of the listener wait here, rather than at a socket that all workers share.
    pub(crate) fn distributes(&self, listener: ListenerId) -> bool {
        self.listeners.get(&listener).is_some_and(|it| it.distribution().is_some())
    }

    /// A connection that another primary has accepted.
    pub(crate) fn inherit_connection(
        &mut self,
        listener: ListenerId,
        connection: D::Connection,
        prefers_http: bool,
        now: Instant,
    ) {
        self.accepted_before(listener, connection, prefers_http, now);
    }

    /// Hands a connection to a worker of a listener whose socket all workers share. Returns it if none has room. It is
    /// not taken back if that worker is stuck, as nothing is that such a worker has accepted.
    pub(crate) fn hand_to_sharer(
        &mut self,
        id: ListenerId,
        connection: D::Connection,
        is_http: bool,
        now: Instant,
    ) -> Option<D::Connection> {
        let Self { listeners, workers, .. } = self;
        let Some(listener) = listeners.get(&id) else { return Some(connection) };
        let may_take = |id: &WorkerId, membership: &Membership| {
            let is_active = !matches!(membership, Membership::CoolingDown(_));
            let serves = !is_http || !listener.has_taker() || listener.serves_http(*id);
            is_active && serves
        };
        let members = listener.members.iter().filter(|(id, it)| may_take(id, it));
        let waiting = members.filter_map(|(&id, _)| Some((workers.get(&id)?.waiting()?, id)));
        let Some((_, chosen)) = waiting.min() else { return Some(connection) };
        let Some(worker) = workers.get_mut(&chosen) else { return Some(connection) };
        worker.count(|counts| counts.handed_over += 1);
        match worker.lanes.hand_over(id, &connection) {
            HandOver::Done => {
                worker.add_given(id);
                self.driver.close(connection);
                None
            }
            how => {
                worker.count(|counts| counts.handed_over -= 1);
                self.set_full(chosen, how == HandOver::Lost, now);
                Some(connection)
            }
        }
    }

    /// Gives up, and kills the workers.
    pub(crate) fn end_standby(&mut self, now: Instant) {
        self.supervise(now, |supervisor| supervisor.end_standby());
    }
}

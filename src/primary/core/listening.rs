//! Addresses: which listener serves a worker's `listen()`, and what happens to it when workers leave.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Driver, Lanes, Socket, Unread},
    listener::{Delivery, Distribution, Listener, Membership},
    quota::may_take,
    sockets::SocketId,
    state::Core,
};
use crate::{
    protocol::{
        ListenerId, WorkerId,
        control::{BoundAddress, Query, Reply, SocketKind, Target, ToWorker},
    },
    scheduler::Scheduling,
};

/// What to do so that a worker can serve an address.
pub(crate) enum Plan {
    /// A listener has it. Its workers may need a further socket, see [`Core::need_of_socket`].
    Join(ListenerId),
    /// Bind the address of a listener again, whose connections wait for a worker: with the port that it
    /// had, if that can be.
    Rebind(ListenerId, Option<BoundAddress>),
    /// Bind it for a new listener.
    Bind,
}

/// What to bind so that a worker can have a socket of its own.
pub(crate) enum Need<S> {
    /// A sibling of this one, by this query.
    Sibling(S, Query),
    /// The address again, which this query had bound: its workers have ended all sockets.
    Anew(Query, Option<BoundAddress>),
}

/// A worker that is to serve a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joining {
    pub(crate) id: WorkerId,
    /// The number of its request.
    pub(crate) seq: u32,
    /// Whether it serves HTTP/1 without TLS there.
    pub(crate) is_http: bool,
}

impl<D: Driver> Core<D> {
    /// What to do so that the worker can serve this address.
    pub(crate) fn plan(&self, worker: WorkerId, query: &Query) -> Plan {
        // Another server of the worker must find the address in use.
        let suits = |listener: &Listener<D>| listener.is_for(query) && !listener.has(worker);
        match self.listeners.iter().find(|(_, listener)| suits(listener)) {
            Some((id, listener)) if listener.is_bound() => Plan::Join(*id),
            Some((id, listener)) => Plan::Rebind(*id, listener.address.clone()),
            None => Plan::Bind,
        }
    }

    /// Whether the worker serves this address already.
    pub(crate) fn serves(&self, worker: WorkerId, query: &Query) -> bool {
        self.listeners.values().any(|listener| listener.is_for(query) && listener.has(worker))
    }

    /// What the listeners were bound by that have sockets.
    pub(crate) fn bound_queries(&self) -> impl Iterator<Item = &Query> {
        self.listeners.values().filter(|it| it.is_bound()).map(|it| &it.query)
    }

    /// Whether a listening socket has this number in this process.
    pub(crate) fn owns(&self, fd: i32) -> bool {
        self.listeners.values().any(|listener| listener.owns(fd))
    }

    /// Whether listeners may take so many more descriptors, for this worker, where this process may have
    /// `limit`.
    pub(crate) fn has_descriptors(&self, worker: WorkerId, more: usize, limit: usize) -> bool {
        let queued = |id: WorkerId| self.workers.get(&id).map_or(0, |it| it.lanes.queued_sockets());
        let of_worker = self.listeners.values().map(|it| it.descriptors_for(worker)).sum::<usize>();
        let of_all = self.listeners.values().map(Listener::descriptors).sum::<usize>();
        let all_queued = self.workers.keys().copied().map(queued).sum::<usize>();
        may_take(of_worker + queued(worker) + more, of_all + all_queued + more, limit)
    }

    /// What hands out the connections of an address that has so many sockets, unless workers accept them from a shared
    /// one.
    pub(crate) fn new_distribution(
        &self,
        target: &Target,
        sockets: usize,
    ) -> Option<Distribution<D>> {
        let policy = match self.scheduling.policy() {
            // Datagrams have no connections to hand over.
            _ if target.has_datagrams() => None,
            // A worker can't accept from several.
            None if sockets > 1 => Scheduling::RoundRobin.policy(),
            policy => policy,
        };
        let has_port = matches!(target, Target::Tcp { .. });
        let has_own = has_port && self.scheduling == Scheduling::ReusePort;
        policy.map(|policy| Distribution::new(policy, has_own, self.driver.new_acceptors()))
    }

    /// Takes over the connections that wait for a worker at the address of this new listener, since
    /// another query had bound it.
    pub(crate) fn inherit(&mut self, heir_id: ListenerId) {
        let address = self.listeners.get(&heir_id).and_then(|heir| heir.address.as_ref());
        let is_same = |it: &Listener<D>| !it.is_bound() && it.address.as_ref() == address;
        let mut waiting = self
            .listeners
            .iter()
            .filter(|(id, it)| **id != heir_id && address.is_some() && is_same(it));
        let Some((&id, _)) = waiting.next() else {
            return;
        };
        let waiting = self.forget_listener(id).map(|listener| listener.delivery);
        if let Some((Delivery::Distributed(waiting), heir)) =
            waiting.zip(self.distribution(heir_id))
        {
            heir.inherit(*waiting);
        }
        self.await_parked(heir_id);
    }

    /// The address of a listener is bound again.
    pub(crate) fn rebind(&mut self, id: ListenerId, query: Query, address: Option<BoundAddress>) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.rebind(query, address);
            listener.publish();
            self.driver.debug_log(format_args!("{} bound", listener.name));
        }
    }

    /// What to bind before the worker can have a socket of its own; `None` where it needs nothing.
    pub(crate) fn need_of_socket(
        &self,
        listener: ListenerId,
        worker: WorkerId,
    ) -> Option<Need<D::Socket>> {
        if self.stands_by || self.is_offered(listener) {
            return None;
        }
        let listener = self.listeners.get(&listener).filter(|it| it.needs_sibling(worker))?;
        Some(match listener.distribution()?.sockets.listening() {
            Some(socket) => Need::Sibling(socket.clone(), listener.query.clone()),
            None => Need::Anew(listener.query.clone(), listener.address.clone()),
        })
    }

    /// An id for a further socket of the listener.
    pub(crate) fn next_socket(&mut self, listener: ListenerId) -> Option<SocketId> {
        Some(self.distribution(listener)?.sockets.next_id())
    }

    pub(crate) fn add_socket(&mut self, listener: ListenerId, id: SocketId, socket: D::Socket) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.sockets.add(id, socket);
        }
    }

    /// A socket is about to be closed. Returns the worker that it was assigned to.
    pub(crate) fn remove_socket(
        &mut self,
        listener: ListenerId,
        socket: SocketId,
    ) -> Option<WorkerId> {
        let owner = self.listeners.get_mut(&listener)?.remove_socket(socket)?;
        self.workers.get_mut(&owner)?.unassign(listener);
        Some(owner)
    }

    /// The worker that accepts from a socket; otherwise the engine does.
    pub(crate) fn acceptor(&self, listener: ListenerId, socket: SocketId) -> Option<WorkerId> {
        let listener = self.listeners.get(&listener)?;
        let owner = listener.distribution()?.sockets.get(socket)?.owner()?;
        let serves = |(id, membership): (&WorkerId, &Membership)| {
            !matches!(membership, Membership::CoolingDown(_))
                && self.workers.get(id).is_some_and(|worker| worker.serves())
        };
        let owner_serves = listener.members.get_key_value(&owner).is_some_and(serves);
        // Where no worker serves, connections had better wait in the backlog.
        (owner_serves || !listener.members.iter().any(serves)).then_some(owner)
    }

    /// Lets the worker serve the listener: first it is told, then it gets connections.
    ///
    /// # Errors
    /// When the worker does not read its messages.
    pub(crate) fn join(
        &mut self,
        joining: Joining,
        listener_id: ListenerId,
        data: Option<serde_json::Value>,
        now: Instant,
    ) -> Result<(), Unread> {
        let Joining { id, seq, is_http } = joining;
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return Ok(());
        };
        let Some(worker) = self.workers.get_mut(&id) else {
            return Ok(());
        };
        // Workers that the program forks itself are of no generation.
        listener.offer(data, worker.generation.unwrap_or(0));
        let mut owner = None;
        let given = match &listener.delivery {
            Delivery::Shared(socket) => Some((SocketKind::Shared, socket.duplicate())),
            Delivery::Distributed(distribution) => {
                // While another primary serves, its workers have the sockets.
                let can_count = worker.lanes.has_shared_counters() && !self.stands_by;
                distribution.sockets.free_for(id).filter(|_| can_count).map(|free| {
                    let slot = worker.assign(listener_id, &free.socket);
                    owner = Some(worker.owner(id, slot));
                    (SocketKind::Own { slot }, free.socket.duplicate())
                })
            }
        };
        let (kind, socket) = match given {
            None => (None, None),
            Some((kind, Ok(socket))) => (Some(kind), Some(socket)),
            Some((_, Err(errno))) => {
                worker.unassign(listener_id);
                self.driver.debug_log(format_args!("worker {id} can't listen: errno {}", -errno));
                return self.refuse(id, seq, errno);
            }
        };
        let reply = Reply {
            seq,
            after: worker.lanes.messages(),
            errno: 0,
            listener: listener_id,
            socket: kind,
            address: listener.address.clone(),
            data: listener.data.clone(),
        };
        // A worker that hears of it finds it in `stats()`. One that can't be told is about to leave
        // everything.
        listener.join(id, is_http, owner);
        if is_http {
            worker.http.insert(listener_id);
        }
        worker.lanes.send(&ToWorker::Reply(reply), socket)?;
        if kind.is_some() {
            listener.add_holder(id);
        }
        self.driver.debug_log(format_args!("worker {id} serves {}", listener.name));
        let timeout = worker.queue_timeout;
        self.tell_takers(listener_id, timeout, now);
        self.dispatch(listener_id, now);
        self.tell_listening(id, listener_id, now);
        Ok(())
    }

    /// Tells the worker by a negated errno why it can't serve an address.
    ///
    /// # Errors
    /// When the worker does not read its messages.
    pub(crate) fn refuse(&self, id: WorkerId, seq: u32, errno: i32) -> Result<(), Unread> {
        let Some(worker) = self.workers.get(&id) else {
            return Ok(());
        };
        let after = worker.lanes.messages();
        let reply = Reply { seq, after, errno, ..Reply::default() };
        worker.lanes.send(&ToWorker::Reply(reply), None)
    }

    /// The worker has lost its own socket, and so accepts from it no more. Says whether it had one.
    pub(crate) fn lose_socket(&mut self, id: WorkerId, listener: ListenerId) -> bool {
        let had_socket = self.listeners.get_mut(&listener).is_some_and(|it| it.unassign(id));
        if let Some(worker) = self.workers.get_mut(&id).filter(|_| had_socket) {
            worker.unassign(listener);
        }
        had_socket
    }

    /// Whether the worker is to accept from a socket of its own, and has none.
    pub(crate) fn lacks_socket(&self, id: WorkerId, listener: ListenerId) -> bool {
        let can_count = self.workers.get(&id).is_some_and(|it| it.lanes.has_shared_counters());
        can_count
            && !self.stands_by
            && self.listeners.get(&listener).is_some_and(|it| it.lacks_socket(id))
    }

    /// Gives the worker a socket that is free, in place of one that it has lost.
    ///
    /// # Errors
    /// The negated errno, when the socket can't be duplicated.
    pub(crate) fn assign_again(
        &mut self,
        id: WorkerId,
        listener_id: ListenerId,
    ) -> Result<(), i32> {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return Ok(());
        };
        let free = listener.distribution().and_then(|it| it.sockets.free_for(id));
        let Some((worker, free)) = self.workers.get_mut(&id).zip(free) else {
            return Ok(());
        };
        let socket = free.socket.duplicate()?;
        let name = &listener.name;
        self.driver.debug_log(format_args!("worker {id} gets another socket of {name}"));
        let slot = worker.assign(listener_id, &free.socket);
        listener.assign(worker.owner(id, slot));
        listener.add_holder(id);
        let message = ToWorker::Socket { listener: listener_id, slot };
        // It fails for a worker that does not read its messages, which is at fault with its next request.
        let _ = worker.lanes.send(&message, Some(socket));
        Ok(())
    }

    /// The worker's server on this listener is closed, and the descriptor that it had of the socket. Tells
    /// the worker when that is done.
    ///
    /// # Errors
    /// When the worker does not read its messages.
    pub(crate) fn close(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        now: Instant,
    ) -> Result<(), Unread> {
        if let Some(found) = self.listeners.get_mut(&listener) {
            let (has_left, has_released) = (found.has(id), found.remove_holder(id));
            let is_last = found.leave(id);
            let timeout = self.workers.get_mut(&id).map_or(Duration::ZERO, |worker| {
                worker.unassign(listener);
                worker.forget_given(|id| self.listeners.contains_key(&id));
                worker.queue_timeout
            });
            if has_left {
                self.tell_takers(listener, timeout, now);
                self.reclaim(id, now);
                self.tell_closed(id, listener, now);
            }
            if is_last || has_released {
                self.left(listener, timeout, now);
            }
        }
        let worker = self.workers.get(&id);
        worker.map_or(Ok(()), |it| it.lanes.send(&ToWorker::Closed { listener }, None))
    }

    /// A worker has left the listener, or closed its descriptor of a socket. The address is closed if it
    /// was the last one. What waits is closed as well, after `timeout` unless another worker comes.
    pub(super) fn left(&mut self, id: ListenerId, timeout: Duration, now: Instant) {
        self.driver.socket_released();
        let expects_parked = self.expects_parked(id);
        let is_handed_over = self.is_handed_over(id);
        let is_unserved = self.listeners.get(&id).is_some_and(|it| !it.is_served());
        if is_unserved && self.keep_offered(id, timeout) {
            return;
        }
        let Some(listener) = self.listeners.get_mut(&id).filter(|it| !it.is_served()) else {
            return;
        };
        let is_lingering = listener.is_lingering();
        if !is_lingering {
            if !timeout.is_zero() && !is_handed_over {
                listener.accept_backlogs(now);
            }
            listener.close_sockets();
            self.driver.debug_log(format_args!("{} closed", listener.name));
        }
        let Delivery::Distributed(distribution) = &mut listener.delivery else {
            if !is_lingering {
                self.forget_listener(id);
            }
            return;
        };
        // More may come for the successor.
        if is_handed_over {
            return;
        }
        // A client that sees its connection closed finds the address free.
        if timeout.is_zero() {
            distribution.close_waiting(&mut self.driver);
        }
        // Some may still be in queues of workers that have gone.
        let may_come = !self.owed.is_empty() || !self.departed.is_empty() || expects_parked;
        if may_come && !timeout.is_zero() || distribution.has_waiting() {
            if distribution.waits_until.is_none() {
                distribution.waits_until = Some(now + timeout);
                self.deadlines.add(now + timeout, Due::QueueTimeout(id));
            }
            self.driver.debug_log(format_args!("connections wait for a worker to serve them"));
        } else if !is_lingering {
            self.forget_listener(id);
        }
    }

    /// Closes the connections of a listener that have waited too long for a worker to come.
    pub(super) fn end_wait_of(&mut self, id: ListenerId, now: Instant) {
        let Some(listener) = self.listeners.get_mut(&id) else {
            return;
        };
        let is_bound = listener.is_bound();
        let Some(distribution) = listener.distribution_mut() else {
            return;
        };
        if distribution.waits_until.is_none_or(|until| until > now) {
            return;
        }
        if is_bound {
            // Workers that have left still have the address.
            distribution.waits_until = None;
            distribution.close_waiting(&mut self.driver);
        } else {
            self.shut(id);
        }
    }

    /// No worker is to come any more: closes what waits for one.
    pub(crate) fn close_unserved_all(&mut self) {
        let is_unserved = |(id, it): &(&ListenerId, &Listener<D>)| {
            !it.is_served() && !self.is_offered(**id) && !self.is_handed_over(**id)
        };
        let unserved = self.listeners.iter().filter(is_unserved);
        for id in unserved.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.shut(id);
        }
    }

    /// Closes a listener that the worker which asked for it could not join. Connections that waited for
    /// such a worker go on waiting.
    pub(crate) fn close_unserved(&mut self, id: ListenerId) {
        if self.is_offered(id) {
            return;
        }
        let is_unused = |it: &&mut Listener<D>| !it.is_served() && !it.is_lingering();
        match self.listeners.get_mut(&id).filter(is_unused) {
            Some(listener) if listener.is_waiting() => listener.close_sockets(),
            Some(_) => self.shut(id),
            None => {}
        }
    }

    /// Closes the listener, with all that waits for it.
    pub(super) fn shut(&mut self, id: ListenerId) {
        let Some(mut listener) = self.forget_listener(id) else {
            return;
        };
        self.driver.debug_log(format_args!("{} closed", listener.name));
        listener.close_sockets();
        if let Some(distribution) = listener.distribution_mut() {
            distribution.close_waiting(&mut self.driver);
        }
        drop(listener);
        self.driver.socket_released();
    }

    /// Whether workers that have left still have addresses.
    pub(crate) fn is_lingering(&self) -> bool {
        self.listeners.values().any(Listener::is_lingering)
    }

    /// Whether the worker has descriptors of listening sockets.
    pub(crate) fn has_sockets(&self, id: WorkerId) -> bool {
        self.listeners.values().any(|listener| listener.is_held_by(id))
    }
}

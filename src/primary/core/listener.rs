use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::{
    driver::{Acceptors, Driver, Socket},
    parked::Parked,
    quota::descriptors_at,
    sockets::{SocketId, Sockets},
    stats::{ListenerCounters, Owner},
    supervise::report::Generation,
};
use crate::{
    protocol::{
        WorkerId,
        control::{BoundAddress, Query, Target},
    },
    scheduler::Policy,
};

/// An address that workers serve.
pub(crate) struct Listener<D: Driver> {
    pub(crate) query: Query,
    /// The address, for people.
    pub(crate) name: String,
    pub(crate) address: Option<BoundAddress>,
    /// What the first worker of the newest generation offered to the others (TLS ticket keys).
    pub(crate) data: Option<serde_json::Value>,
    /// That generation.
    data_of: Generation,
    /// The workers that serve it.
    pub(crate) members: HashMap<WorkerId, Membership>,
    /// Those of them that serve HTTP/1 without TLS, so that they can take parked connections.
    pub(super) http_members: HashSet<WorkerId>,
    /// Workers that have a descriptor of one of its sockets: members, and those that have left and
    /// are about to close it.
    holders: HashSet<WorkerId>,
    pub(crate) delivery: Delivery<D>,
}

/// How connections of a listener get to workers.
pub(crate) enum Delivery<D: Driver> {
    /// Each worker accepts from this socket.
    Shared(D::Socket),
    /// The engine accepts and hands over, or workers accept from sockets of their own.
    Distributed(Box<Distribution<D>>),
}

/// What keeps a member from connections of this listener alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Nothing.
    Active,
    /// It has returned a connection, and gets no other one before this time.
    CoolingDown(Instant),
    /// That time is over, but it accepts nothing from its own socket until nothing is pending.
    Quiet,
}

/// What it takes to hand connections out.
pub(crate) struct Distribution<D: Driver> {
    pub(crate) policy: Box<dyn Policy>,
    /// Connections in no queue: first those taken back or returned, then those accepted when the last
    /// queue filled up. While there are any, the engine accepts no more.
    pending: VecDeque<Pending<D::Connection>>,
    pub(crate) counters: Arc<ListenerCounters>,
    /// Idle connections of workers that drain, or have drained.
    pub(super) parked: Parked<D::Connection>,
    /// While connections wait and no worker serves the listener: until when. The address is not bound
    /// meanwhile, unless workers that have left still have its sockets.
    pub(crate) waits_until: Option<Instant>,
    /// When the primary was warned last that nothing can be accepted.
    pub(crate) warned: Option<Instant>,
    pub(crate) sockets: Sockets<D>,
    pub(crate) acceptors: D::Acceptors,
    /// Members that have become [`Membership::Quiet`].
    pub(crate) quiet: Vec<WorkerId>,
}

/// A connection in no queue.
pub(crate) struct Pending<C> {
    pub(crate) connection: C,
    pub(crate) origin: Origin,
}

/// Where a connection comes from that is in no queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was accepted at this time.
    Accepted(Instant),
    /// It was in a queue, or at a worker, before.
    Queue {
        /// Whether that worker served HTTP.
        prefers_http: bool,
    },
}

impl Origin {
    /// Whether a worker had it that served HTTP.
    pub(super) fn prefers_http(self) -> bool {
        matches!(self, Self::Queue { prefers_http: true })
    }
}

impl<D: Driver> Listener<D> {
    pub(crate) fn new(query: Query, address: Option<BoundAddress>, delivery: Delivery<D>) -> Self {
        let name = name(address.as_ref(), &query.target);
        let (members, http_members, holders) = Default::default();
        let (data, data_of) = (None, 0);
        Self { query, name, address, data, data_of, members, http_members, holders, delivery }
    }

    /// A worker offers this to the others, unless one of its generation, or of a newer one, has done so.
    pub(super) fn offer(&mut self, data: Option<serde_json::Value>, generation: Generation) {
        if generation > self.data_of {
            self.data_of = generation;
            self.data = None;
        }
        self.data = self.data.take().or(data);
    }

    /// Whether it is the address of the query.
    pub(crate) fn is_for(&self, query: &Query) -> bool {
        self.query.target == query.target && self.query.index == query.index
    }

    /// Whether the worker serves it.
    pub(crate) fn has(&self, worker: WorkerId) -> bool {
        self.members.contains_key(&worker)
    }

    /// Whether a worker serves it.
    pub(crate) fn is_served(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether a worker can take its parked connections.
    pub(crate) fn has_taker(&self) -> bool {
        !self.http_members.is_empty()
    }

    /// Whether this worker can.
    pub(crate) fn serves_http(&self, worker: WorkerId) -> bool {
        self.http_members.contains(&worker)
    }

    /// Whether a worker other than this one can.
    pub(crate) fn has_taker_beside(&self, worker: WorkerId) -> bool {
        self.http_members.iter().any(|it| *it != worker)
    }

    /// Whether no worker serves it, and one that did still has a descriptor of its socket, so that the
    /// address is not free yet.
    pub(crate) fn is_lingering(&self) -> bool {
        !self.is_served() && !self.holders.is_empty()
    }

    /// Whether the worker has a descriptor of one of its sockets.
    pub(crate) fn is_held_by(&self, worker: WorkerId) -> bool {
        self.holders.contains(&worker)
    }

    /// The worker gets a descriptor of one of its sockets.
    pub(crate) fn add_holder(&mut self, worker: WorkerId) {
        self.holders.insert(worker);
    }

    /// The worker has closed its descriptors of the sockets. Says whether it had any.
    pub(crate) fn remove_holder(&mut self, worker: WorkerId) -> bool {
        self.holders.remove(&worker)
    }

    /// Whether the address is bound. It is not while connections wait for the next worker.
    pub(crate) fn is_bound(&self) -> bool {
        self.distribution().is_none_or(|it| it.sockets.is_open())
    }

    /// Whether connections wait for a worker to serve it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.distribution().is_some_and(|it| it.waits_until.is_some())
    }

    /// The address is bound again, for this query.
    pub(crate) fn rebind(&mut self, query: Query, address: Option<BoundAddress>) {
        self.name = name(address.as_ref(), &query.target);
        self.address = address;
        // The target is that by which others find it.
        self.query = Query { target: self.query.target.clone(), ..query };
    }

    /// Whether the listening sockets are the engine's own, rather than one that the primary has opened.
    fn is_ours(&self) -> bool {
        !matches!(self.query.target, Target::Descriptor { .. })
    }

    /// Accepts what waits in the backlogs of sockets that are about to close. In that of a socket which
    /// the primary has opened, it goes on waiting.
    pub(crate) fn accept_backlogs(&mut self, now: Instant) {
        let is_ours = self.is_ours();
        let Self { query, delivery, .. } = self;
        if let Delivery::Distributed(distribution) = delivery
            && is_ours
        {
            for connection in distribution.sockets.accept_backlogs(query) {
                distribution.add_accepted(connection, now);
            }
        }
    }

    /// Closes the engine's sockets; what waits in their backlogs is reset. A shared one closes with the
    /// listener.
    pub(crate) fn close_sockets(&mut self) {
        let is_last = self.is_ours() && self.holders.is_empty();
        match &mut self.delivery {
            Delivery::Distributed(distribution) => distribution.sockets.close(is_last),
            Delivery::Shared(socket) if is_last => socket.close(true),
            Delivery::Shared(_) => {}
        }
    }

    /// Its sockets belong to another primary: closing them ends nothing.
    pub(crate) fn disown_sockets(&self) {
        match &self.delivery {
            Delivery::Shared(socket) => socket.disown(),
            Delivery::Distributed(it) => it.sockets.iter().for_each(|it| it.socket.disown()),
        }
    }

    /// Whether one of its sockets has this number in this process.
    pub(crate) fn owns(&self, fd: i32) -> bool {
        match &self.delivery {
            Delivery::Shared(socket) => socket.is(fd),
            Delivery::Distributed(it) => it.sockets.iter().any(|it| it.socket.is(fd)),
        }
    }

    /// How many descriptors of this process it takes.
    pub(crate) fn descriptors(&self) -> usize {
        let first = descriptors_at(&self.query.target);
        match &self.delivery {
            Delivery::Shared(_) => first,
            Delivery::Distributed(it) if !it.sockets.is_open() => 0,
            Delivery::Distributed(it) => first + it.sockets.len() - 1,
        }
    }

    /// How many of them it takes for this worker.
    pub(crate) fn descriptors_for(&self, worker: WorkerId) -> usize {
        match self.has(worker) {
            true if self.has_own_sockets() => 1,
            true => self.descriptors(),
            false => 0,
        }
    }

    /// Whether its workers accept from sockets of their own.
    pub(crate) fn has_own_sockets(&self) -> bool {
        self.distribution().is_some_and(|it| it.sockets.are_own)
    }

    /// Whether the worker is to accept from a socket of its own, and has none.
    pub(crate) fn lacks_socket(&self, worker: WorkerId) -> bool {
        let is_without = |it: &Distribution<D>| it.sockets.are_own && !it.sockets.has_owner(worker);
        self.has(worker) && self.distribution().is_some_and(is_without)
    }

    /// Whether a further socket is to be bound before the worker can have one of its own.
    pub(crate) fn needs_sibling(&self, worker: WorkerId) -> bool {
        let has_none_free =
            |it: &Distribution<D>| it.sockets.are_own && it.sockets.free_for(worker).is_none();
        self.distribution().is_some_and(has_none_free)
    }

    pub(crate) fn distribution(&self) -> Option<&Distribution<D>> {
        match &self.delivery {
            Delivery::Distributed(distribution) => Some(distribution),
            Delivery::Shared(_) => None,
        }
    }

    pub(crate) fn distribution_mut(&mut self) -> Option<&mut Distribution<D>> {
        match &mut self.delivery {
            Delivery::Distributed(distribution) => Some(distribution),
            Delivery::Shared(_) => None,
        }
    }

    /// The worker serves it from now on, as the owner of the socket that is free for it if it is to have
    /// one.
    pub(crate) fn join(&mut self, worker: WorkerId, is_http: bool, owner: Option<Owner>) {
        self.members.insert(worker, Membership::Active);
        if is_http {
            self.http_members.insert(worker);
        }
        if let Some(distribution) = self.distribution_mut() {
            distribution.waits_until = None;
            distribution.policy.join(worker);
            if let Some(owner) = owner {
                distribution.sockets.assign(owner);
                distribution.notify_acceptors();
            }
        }
        self.publish();
    }

    /// A member gets the socket that is free for it.
    pub(crate) fn assign(&mut self, owner: Owner) {
        if let Some(distribution) = self.distribution_mut() {
            distribution.sockets.assign(owner);
            distribution.notify_acceptors();
        }
        self.publish();
    }

    /// The worker accepts from its own socket no more. Says whether it had one.
    pub(crate) fn unassign(&mut self, worker: WorkerId) -> bool {
        let Some(distribution) = self.distribution_mut() else {
            return false;
        };
        let had_socket = distribution.sockets.unassign(worker);
        distribution.notify_acceptors();
        self.publish();
        had_socket
    }

    /// A socket is about to be closed. Returns the worker that it was assigned to.
    pub(crate) fn remove_socket(&mut self, socket: SocketId) -> Option<WorkerId> {
        let owner = self.distribution_mut()?.sockets.remove(socket);
        self.publish();
        owner
    }

    /// The worker serves it no more. Says whether that was the last member.
    pub(crate) fn leave(&mut self, worker: WorkerId) -> bool {
        if self.members.remove(&worker).is_none() {
            return false;
        }
        self.http_members.remove(&worker);
        if let Some(distribution) = self.distribution_mut() {
            distribution.policy.leave(worker);
            distribution.sockets.unassign(worker);
            distribution.notify_acceptors();
        }
        self.publish();
        self.members.is_empty()
    }

    /// Lets others read who serves it.
    pub(crate) fn publish(&self) {
        if let Some(distribution) = self.distribution() {
            let workers = self.members.keys().copied().collect();
            let owners = distribution.sockets.owners();
            distribution.counters.set_members(&self.name, workers, owners);
        }
    }
}

/// What people read for an address.
pub(crate) fn name(address: Option<&BoundAddress>, target: &Target) -> String {
    match (address, target) {
        (Some(BoundAddress { address, port, .. }), _) if address.contains(':') => {
            format!("[{address}]:{port}")
        }
        (Some(BoundAddress { address, port, .. }), _) => format!("{address}:{port}"),
        (None, Target::Unix { path }) => match path.strip_prefix('\0') {
            // Node 20 fills up such a name with zeros, which say nothing to people.
            Some(name) => format!("@{}", name.trim_end_matches('\0').replace('\0', "@")),
            None => path.clone(),
        },
        (None, target) => format!("{target:?}"),
    }
}

impl<D: Driver> Distribution<D> {
    pub(crate) fn new(policy: Box<dyn Policy>, has_own: bool, acceptors: D::Acceptors) -> Self {
        Self {
            policy,
            pending: VecDeque::new(),
            counters: Arc::default(),
            parked: Parked::default(),
            waits_until: None,
            warned: None,
            sockets: Sockets::new(has_own),
            acceptors,
            quiet: Vec::new(),
        }
    }

    /// Who accepts from its sockets may have changed.
    pub(crate) fn notify_acceptors(&self) {
        self.acceptors.notify_room();
        self.acceptors.notify_change();
    }

    /// Whether connections wait for room in a queue.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A new connection, in no queue yet.
    pub(crate) fn add_accepted(&mut self, connection: D::Connection, now: Instant) {
        self.counters.add_accepted();
        self.pending.push_back(Pending { connection, origin: Origin::Accepted(now) });
        self.counters.set_waiting(self.pending.len());
    }

    /// A connection that was in a queue. It has waited longer than the new ones.
    pub(crate) fn add_returned(&mut self, connection: D::Connection, prefers_http: bool) {
        let is_older = |pending: &Pending<_>| matches!(pending.origin, Origin::Queue { .. });
        let behind = self.pending.partition_point(is_older);
        self.pending.insert(behind, Pending { connection, origin: Origin::Queue { prefers_http } });
        self.counters.set_waiting(self.pending.len());
    }

    /// Whether connections wait here, in whatever way.
    pub(crate) fn has_waiting(&self) -> bool {
        self.has_pending() || !self.parked.is_empty()
    }

    /// The connection that has waited longest.
    pub(crate) fn take_pending(&mut self) -> Option<Pending<D::Connection>> {
        let pending = self.pending.pop_front()?;
        self.counters.set_waiting(self.pending.len());
        Some(pending)
    }

    /// Puts back what [`take_pending`](Self::take_pending) has returned last.
    pub(crate) fn restore_pending(&mut self, pending: Pending<D::Connection>) {
        self.pending.push_front(pending);
        self.counters.set_waiting(self.pending.len());
    }

    /// Closes the connections that wait, for a worker or for their clients.
    pub(crate) fn close_waiting(&mut self, driver: &mut D) {
        self.close_parked(driver);
        self.counters.set_waiting(0);
        self.pending.drain(..).for_each(|pending| driver.close(pending.connection));
    }

    /// Takes over the connections that wait at another listener of the address, and what is known of
    /// those that its workers have.
    pub(crate) fn inherit(&mut self, mut other: Self) {
        self.pending = std::mem::take(&mut other.pending);
        self.inherit_parked(&mut other);
        self.counters.set_waiting(self.pending.len());
        self.acceptors.inherit(other.acceptors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_name_is_shown_without_what_fills_it_up() {
        let shown = |path: &str| name(None, &Target::Unix { path: path.into() });
        assert_eq!(shown("\0app"), "@app");
        assert_eq!(shown(&format!("\0app{}", "\0".repeat(104))), "@app");
        assert_eq!(shown("\0a\0b\0"), "@a@b");
        assert_eq!(shown("/run/app.sock"), "/run/app.sock");
    }
}

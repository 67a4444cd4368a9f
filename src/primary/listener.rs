use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use tokio::{sync::Notify, task::JoinHandle};

use super::{
    listening_socket::ListeningSocket,
    quota::descriptors_at,
    stats::{ListenerCounters, Owner},
};
use crate::{
    protocol::{
        WorkerId,
        control::{BoundAddress, Query, Target},
    },
    scheduler::Policy,
    sys::{
        listen::{self, Bound, Likeness, Origin},
        scarce_descriptors,
    },
};

/// An address that workers serve.
pub(super) struct Listener {
    pub(super) query: Query,
    /// The address as the story tells it.
    pub(super) name: String,
    pub(super) address: Option<BoundAddress>,
    /// What the first worker offered to its siblings.
    pub(super) data: Option<serde_json::Value>,
    members: HashSet<WorkerId>,
    /// Workers that have a descriptor of one of its sockets: members, and those that have left and
    /// are about to close it.
    holders: HashSet<WorkerId>,
    pub(super) socket: Socket,
}

/// Who accepts.
pub(super) enum Socket {
    /// Each worker does, from this socket.
    Shared(Bound),
    /// The engine does, or the workers do from sockets of their own.
    Distributed(Box<Distribution>),
}

/// What it takes to hand connections out.
pub(super) struct Distribution {
    pub(super) policy: Box<dyn Policy>,
    /// Accepted, but in no lane: first those taken back or returned, then those accepted when the
    /// last lane filled up. While there are any, no more are accepted.
    pub(super) pending: VecDeque<Pending>,
    pub(super) counters: Arc<ListenerCounters>,
    /// Members that have just returned a connection of this listener, and get a rest: until then.
    pub(super) resting: HashMap<WorkerId, Instant>,
    /// Members that accept nothing from their seats since they returned a connection.
    pub(super) parked: HashSet<WorkerId>,
    /// While connections wait and no worker serves the listener: until when they wait for one that
    /// does. The address is not bound meanwhile, unless workers that have left still hold it.
    pub(super) held: Option<Instant>,
    /// When its primary heard last that nothing can be accepted.
    pub(super) warned: Option<Instant>,
    /// Whether each worker accepts from a seat of its own.
    pub(super) has_owners: bool,
    /// The first is there as soon as the address is bound, the others as more workers need one. In the
    /// order of their ids.
    pub(super) seats: Vec<Seat>,
    /// The id of the next seat.
    next_seat: SeatId,
    /// By which its connections are told from others: of the address, and of those before it while
    /// connections waited for the next worker.
    pub(super) likenesses: Vec<Likeness>,
    /// Has the tasks of seats that accept look again at `pending`, the members and the owner.
    pub(super) room: Rc<Notify>,
    /// Has the tasks of all other seats look again at the owner.
    pub(super) reseated: Rc<Notify>,
}

/// Tells the seats of a listener apart.
pub(super) type SeatId = u64;

/// A listening socket, and the task of the engine for it.
pub(super) struct Seat {
    id: SeatId,
    pub(super) socket: Rc<ListeningSocket>,
    task: JoinHandle<()>,
    /// Who accepts from it; the engine does while there is none, or that one is stuck or paused.
    owner: Option<Owner>,
    /// Workers that have, or have had, a descriptor of it, and whose processes live. One that has kept it
    /// can do harm to whoever accepts from it.
    holders: HashSet<WorkerId>,
}

impl Seat {
    pub(super) fn new(id: SeatId, socket: Rc<ListeningSocket>, task: JoinHandle<()>) -> Self {
        Self { id, socket, task, owner: None, holders: HashSet::new() }
    }

    pub(super) fn owner(&self) -> Option<WorkerId> {
        self.owner.as_ref().map(|owner| owner.worker)
    }

    /// Whether the worker may accept from it: nobody does, and nobody else has it.
    fn is_free_for(&self, worker: WorkerId) -> bool {
        let is_alone = self.holders.iter().all(|holder| *holder == worker);
        self.owner.is_none() && is_alone && self.socket.is_listening()
    }
}

/// A connection in no lane.
pub(super) struct Pending {
    pub(super) connection: OwnedFd,
    /// When it was accepted, unless it was in a lane before.
    pub(super) accepted: Option<Instant>,
}

impl Listener {
    pub(super) fn new(query: Query, address: Option<BoundAddress>, socket: Socket) -> Self {
        let name = name(address.as_ref(), &query.target);
        let (members, holders) = Default::default();
        Self { query, name, address, data: None, members, holders, socket }
    }

    /// Whether `worker` would get this listener for `query`: it is the same address, and not the
    /// worker's own from another of its servers, which must find the address in use.
    pub(super) fn suits(&self, query: &Query, worker: WorkerId) -> bool {
        self.is_for(query) && !self.has(worker)
    }

    /// Whether it is the address of the query.
    pub(super) fn is_for(&self, query: &Query) -> bool {
        self.query.target == query.target && self.query.index == query.index
    }

    /// Whether a worker serves it.
    pub(super) fn is_served(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether a worker that serves it no more has still a descriptor of its socket, so that the address
    /// is not free yet.
    pub(super) fn is_lingering(&self) -> bool {
        !self.is_served() && !self.holders.is_empty()
    }

    /// Whether the worker has a descriptor of one of its sockets.
    pub(super) fn is_held_by(&self, worker: WorkerId) -> bool {
        self.holders.contains(&worker)
    }

    /// The worker gets a descriptor of one of its sockets.
    pub(super) fn lend(&mut self, worker: WorkerId) {
        self.holders.insert(worker);
    }

    /// The worker has closed what it had of the sockets. Says whether it had any.
    pub(super) fn release(&mut self, worker: WorkerId) -> bool {
        self.holders.remove(&worker)
    }

    /// Accepts what waits in the backlogs of the engine's sockets, which are about to close. In that of a
    /// socket which the primary has open itself, it goes on waiting.
    pub(super) fn accept_backlog(&mut self) {
        let backlog = listen::wanted_backlog(&self.query);
        if let Socket::Distributed(distribution) = &mut self.socket
            && !matches!(self.query.target, Target::Descriptor { .. })
        {
            distribution.accept_backlog(backlog);
        }
    }

    /// Closes the engine's sockets; what waits in their backlogs is reset. A shared one closes with the
    /// listener.
    pub(super) fn close(&mut self) {
        let is_ours = !matches!(self.query.target, Target::Descriptor { .. });
        let is_last = is_ours && self.holders.is_empty();
        match &mut self.socket {
            Socket::Distributed(distribution) => distribution.close(is_last),
            Socket::Shared(bound) if is_last => listen::stop(bound.socket.as_raw_fd()),
            Socket::Shared(_) => {}
        }
    }

    /// Whether connections wait for a worker to serve it.
    pub(super) fn is_waiting(&self) -> bool {
        self.distribution().is_some_and(|distribution| distribution.held.is_some())
    }

    /// Whether the address is bound. It is not while connections wait for the next worker.
    pub(super) fn is_bound(&self) -> bool {
        let is_open = |seat: &Seat| seat.socket.is_open();
        self.distribution().is_none_or(|distribution| distribution.seats.iter().any(is_open))
    }

    /// The address is bound anew, for this query.
    pub(super) fn rebound(&mut self, query: Query, address: Option<BoundAddress>) {
        self.name = name(address.as_ref(), &query.target);
        self.address = address;
        // With the target by which others find it.
        self.query = Query { target: self.query.target.clone(), ..query };
    }

    /// What this descriptor is to it, which a worker says is one of its connections.
    pub(super) fn origin(&self, connection: &OwnedFd) -> Origin {
        let has_its_address = !matches!(self.query.target, Target::Descriptor { .. });
        // Where workers accept themselves, they have nothing to return.
        let likenesses = self.distribution().map_or(&[][..], |it| &it.likenesses);
        let mut origins =
            likenesses.iter().map(|it| listen::origin(connection, it, has_its_address));
        origins.find(|origin| *origin != Origin::Elsewhere).unwrap_or(Origin::Elsewhere)
    }

    /// Whether one of its sockets has this number here.
    pub(super) fn owns(&self, fd: RawFd) -> bool {
        match &self.socket {
            Socket::Shared(bound) => bound.as_raw_fd() == fd,
            Socket::Distributed(it) => it.seats.iter().any(|seat| seat.socket.is(fd)),
        }
    }

    /// How many descriptors of this process it takes.
    pub(super) fn descriptors(&self) -> usize {
        let first = descriptors_at(&self.query.target);
        match &self.socket {
            Socket::Shared(_) => first,
            Socket::Distributed(it) if it.seats.is_empty() => 0,
            Socket::Distributed(it) => first + it.seats.len() - 1,
        }
    }

    /// How many of them it takes for this worker.
    pub(super) fn descriptors_for(&self, worker: WorkerId) -> usize {
        match self.has(worker) {
            true if self.has_owners() => 1,
            true => self.descriptors(),
            false => 0,
        }
    }

    /// Whether the worker serves it.
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        self.members.contains(&worker)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &WorkerId> {
        self.members.iter()
    }

    /// The worker serves it from now on, as the owner of the free seat if it is to have one.
    pub(super) fn join(&mut self, worker: WorkerId, owner: Option<Owner>) {
        self.members.insert(worker);
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.held = None;
            distribution.policy.join(worker);
            if let Some(owner) = owner {
                distribution.give_seat(owner);
            }
        }
        self.publish();
    }

    /// A member gets another seat, which is free.
    pub(super) fn seat(&mut self, owner: Owner) {
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.give_seat(owner);
        }
        self.publish();
    }

    /// The worker accepts from its seat no more. Says whether it had one.
    pub(super) fn unseat(&mut self, worker: WorkerId) -> bool {
        let Socket::Distributed(distribution) = &mut self.socket else {
            return false;
        };
        let had_seat = distribution.has_seat(worker);
        distribution.unseat(worker);
        self.publish();
        had_seat
    }

    /// Whether the worker is to accept from a socket of its own, and has none.
    pub(super) fn lacks_seat(&self, worker: WorkerId) -> bool {
        let distribution = self.distribution().filter(|it| it.has_owners);
        self.has(worker) && distribution.is_some_and(|it| !it.has_seat(worker))
    }

    /// What to bind for a further socket, where none of its own listens that could have a sibling.
    pub(super) fn lost(&self) -> Option<(&Query, Option<&BoundAddress>)> {
        let is_listening = |seat: &Seat| seat.socket.is_listening();
        let listens = self.distribution().is_none_or(|it| it.seats.iter().any(is_listening));
        (!listens).then_some((&self.query, self.address.as_ref()))
    }

    /// The worker's process has ended: it has none of the sockets any more.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        if let Socket::Distributed(distribution) = &mut self.socket {
            for seat in &mut distribution.seats {
                seat.holders.remove(&worker);
            }
        }
    }

    /// A seat's socket is about to be closed. Returns whose seat it was.
    pub(super) fn remove_seat(&mut self, seat: SeatId) -> Option<WorkerId> {
        let Socket::Distributed(distribution) = &mut self.socket else {
            return None;
        };
        let owner = distribution.seat(seat).and_then(Seat::owner);
        distribution.seats.retain(|it| it.id != seat);
        self.publish();
        owner
    }

    /// Whether its workers accept from sockets of their own.
    pub(super) fn has_owners(&self) -> bool {
        self.distribution().is_some_and(|distribution| distribution.has_owners)
    }

    /// Whether a further socket is to be bound for the worker, which is to have one of its own.
    pub(super) fn needs_sibling(&self, worker: WorkerId) -> bool {
        let has_no_free_seat = |it: &Distribution| it.has_owners && it.free_seat(worker).is_none();
        self.distribution().is_some_and(has_no_free_seat)
    }

    /// A further socket on the address, unless none of it is open.
    pub(super) fn sibling(&self) -> Option<io::Result<Bound>> {
        let mut sockets = self.distribution()?.seats.iter().map(|seat| &seat.socket);
        let open = sockets.find(|socket| socket.is_listening())?;
        Some(open.sibling(&self.query))
    }

    pub(super) fn distribution(&self) -> Option<&Distribution> {
        match &self.socket {
            Socket::Distributed(distribution) => Some(distribution),
            Socket::Shared(_) => None,
        }
    }

    /// The worker may take connections again.
    pub(super) fn restore(&mut self, worker: WorkerId) {
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.policy.restore(worker);
        }
    }

    /// Lets others read who serves it.
    pub(super) fn publish(&self) {
        if let Some(distribution) = self.distribution() {
            let owners = distribution.seats.iter().filter_map(|seat| seat.owner.clone()).collect();
            let workers = self.members.iter().copied().collect();
            distribution.counters.set_members(&self.name, workers, owners);
        }
    }

    /// Says whether that was the last member.
    pub(super) fn leave(&mut self, worker: WorkerId) -> bool {
        if !self.members.remove(&worker) {
            return false;
        }
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.leave(worker);
        }
        self.publish();
        self.members.is_empty()
    }
}

fn name(address: Option<&BoundAddress>, target: &Target) -> String {
    match (address, target) {
        (Some(BoundAddress { address, port, .. }), _) if address.contains(':') => {
            format!("[{address}]:{port}")
        }
        (Some(BoundAddress { address, port, .. }), _) => format!("{address}:{port}"),
        (None, Target::Unix { path }) => path.replace('\0', "@"),
        (None, target) => format!("{target:?}"),
    }
}

impl Distribution {
    pub(super) fn new(policy: Box<dyn Policy>, has_owners: bool) -> Self {
        Self {
            policy,
            pending: VecDeque::new(),
            counters: Arc::default(),
            resting: HashMap::new(),
            parked: HashSet::new(),
            held: None,
            warned: None,
            has_owners,
            seats: Vec::new(),
            next_seat: 0,
            likenesses: Vec::new(),
            room: Rc::new(Notify::new()),
            reseated: Rc::new(Notify::new()),
        }
    }

    /// The seat that the worker gets, if it is to have one and there is one.
    pub(super) fn free_seat(&self, worker: WorkerId) -> Option<&Seat> {
        self.seats.iter().find(|seat| self.has_owners && seat.is_free_for(worker))
    }

    /// The seat with this id, as long as its socket is open.
    pub(super) fn seat(&self, id: SeatId) -> Option<&Seat> {
        self.seats.get(self.seats.binary_search_by_key(&id, |seat| seat.id).ok()?)
    }

    /// An id for a further seat.
    pub(super) fn next_seat(&mut self) -> SeatId {
        self.next_seat += 1;
        self.next_seat
    }

    /// A worker gets its [`free_seat`](Self::free_seat).
    fn give_seat(&mut self, owner: Owner) {
        let free = self.seats.iter_mut().find(|seat| seat.is_free_for(owner.worker));
        if let Some(seat) = free {
            seat.holders.insert(owner.worker);
            seat.owner = Some(owner);
            self.reseat();
        }
    }

    /// Who accepts from a seat may have changed.
    pub(super) fn reseat(&self) {
        self.room.notify_waiters();
        self.reseated.notify_waiters();
    }

    fn leave(&mut self, worker: WorkerId) {
        self.policy.leave(worker);
        self.resting.remove(&worker);
        self.parked.remove(&worker);
        self.unseat(worker);
    }

    fn has_seat(&self, worker: WorkerId) -> bool {
        self.seats.iter().any(|seat| seat.owner() == Some(worker))
    }

    fn unseat(&mut self, worker: WorkerId) {
        for seat in self.seats.iter_mut().filter(|seat| seat.owner() == Some(worker)) {
            seat.owner = None;
        }
        self.reseat();
    }

    /// A new connection, not in any lane yet.
    pub(super) fn accepted(&mut self, connection: OwnedFd) {
        self.counters.add_accepted();
        self.pending.push_back(Pending { connection, accepted: Some(Instant::now()) });
        self.counters.set_waiting(self.pending.len());
    }

    /// Closes the connections that wait.
    pub(super) fn close_pending(&mut self) {
        self.pending.clear();
        self.counters.set_waiting(0);
    }

    /// Takes connections over that wait already.
    pub(super) fn take_pending(&mut self, pending: VecDeque<Pending>) {
        self.counters.set_waiting(pending.len());
        self.pending = pending;
    }

    /// A connection that was in a lane. It has waited longer than the new ones.
    pub(super) fn returned(&mut self, connection: OwnedFd) {
        let behind = self.pending.partition_point(|pending| pending.accepted.is_none());
        self.pending.insert(behind, Pending { connection, accepted: None });
        self.counters.set_waiting(self.pending.len());
    }

    /// Adds a socket.
    pub(super) fn add(&mut self, seat: Seat) {
        if let Some(likeness) = seat.socket.likeness().filter(|it| !self.likenesses.contains(it)) {
            self.likenesses.push(likeness);
        }
        self.seats.push(seat);
    }

    /// Closes the sockets. `is_last`: no other process is to have them.
    fn close(&mut self, is_last: bool) {
        for seat in self.seats.drain(..) {
            seat.task.abort();
            if is_last {
                seat.socket.stop();
            }
            seat.socket.close();
        }
    }

    /// Accepts what waits in the backlogs of the sockets, as far as there are descriptors for it: some
    /// are left for what the next worker takes.
    fn accept_backlog(&mut self, backlog: u32) {
        let scarce = scarce_descriptors();
        for seat in 0..self.seats.len() {
            // The kernel keeps one more than it is asked for; those that come meanwhile come too late.
            for _ in 0..=backlog {
                // The lowest number that was free: all below are in use.
                match self.seats[seat].socket.accept() {
                    Ok(Some(connection)) => {
                        let is_last = connection.as_raw_fd() >= scarce;
                        self.accepted(connection);
                        if is_last {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

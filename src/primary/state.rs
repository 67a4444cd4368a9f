mod patrol;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub(super) use patrol::Outlook;

use super::{
    engine::{Emit, Event, Scheduling, Settings},
    listener::{Distribution, Listener, Owner, Seat, Socket},
    placement::place,
    quota::{DESCRIPTOR_SHARE, MAX_LISTENERS},
    stats::{Counts, Stats},
    story::Story,
    worker::{TakenBack, Worker},
};
use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId, WorkerId,
        control::{Order, Query, Reply, SocketKind, Target},
    },
    sys::{
        descriptor_limit, errno,
        exit::Exit,
        failure::Fault,
        listen::{self, Bound, Origin},
        reserve::Reserve,
    },
};

/// How long a primary hears nothing more of connections that can't be accepted.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// The state, as the tasks have it.
pub(super) type Shared = Rc<RefCell<State>>;

/// Everything the engine thread owns. No call waits: the tasks of `driver` do that.
pub(super) struct State {
    scheduling: Scheduling,
    story: Story,
    emit: Emit,
    workers: HashMap<WorkerId, Worker>,
    listeners: HashMap<ListenerId, Listener>,
    last_listener: ListenerId,
    /// Workers for which connections may wait, in lanes or at seats.
    loaded: HashSet<WorkerId>,
    loading: Rc<Notify>,
    /// Of listeners whose tasks have been told to end, which closes them.
    closing: Vec<Weak<Bound>>,
    /// For a connection that is accepted, or taken back, when there are no other descriptors.
    reserve: Reserve,
    /// Workers of which not all that waits could be taken back, for want of descriptors.
    owed: HashSet<WorkerId>,
    /// Workers whose processes have ended, with something left in a lane.
    departed: HashMap<WorkerId, Worker>,
    /// Those that may have returned connections which could not be taken yet.
    returning: HashSet<WorkerId>,
    owing: Rc<Notify>,
}

/// What the task of a listener may do.
pub(super) enum Stance {
    /// Accept connections.
    Accept,
    /// Wait until somebody has room for those that are accepted already.
    Wait,
    /// As that, and nobody serves the listener: until then.
    Hold(Instant),
}

/// What is to be taken back is to be tried again after a pause.
#[derive(Debug)]
struct Later;

/// A freshly bound address, still without a task to accept from it.
pub(super) struct Opened {
    pub(super) query: Query,
    pub(super) bound: Bound,
    /// Unless the workers accept from this one socket.
    pub(super) distribution: Option<Distribution>,
}

impl State {
    pub(super) fn new(settings: Settings, emit: Emit) -> Self {
        Self {
            scheduling: settings.scheduling.available(),
            story: Story::new(settings.story),
            emit,
            workers: HashMap::new(),
            listeners: HashMap::new(),
            last_listener: 0,
            loaded: HashSet::new(),
            loading: Rc::new(Notify::new()),
            closing: Vec::new(),
            reserve: Reserve::default(),
            owed: HashSet::new(),
            departed: HashMap::new(),
            returning: HashSet::new(),
            owing: Rc::new(Notify::new()),
        }
    }

    pub(super) fn emit(&self, event: Event) {
        (self.emit)(event);
    }

    pub(super) fn adopt(&mut self, id: WorkerId, worker: Worker) {
        self.story.tell(format_args!("worker {id} forked, pid {}", worker.pid));
        self.workers.insert(id, worker);
    }

    /// The worker's process has ended. What it had not taken goes to others.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        self.retire(id);
        let worker = self.workers.remove(&id)?;
        if self.owed.remove(&id) || self.returning.contains(&id) {
            self.departed.insert(id, worker);
            return None;
        }
        Some(worker)
    }

    /// The worker is to be known until [`let_go`](Self::let_go), though its process has ended.
    pub(super) fn keep(&mut self, id: WorkerId) {
        self.returning.insert(id);
    }

    /// The worker has returned all that it has.
    pub(super) fn let_go(&mut self, id: WorkerId) {
        self.returning.remove(&id);
        // The worker itself goes with what is to be taken back, if anything.
        self.owing.notify_one();
    }

    /// Tells everybody that the listener can't accept for now, unless they have just heard it.
    pub(super) fn unaccepted(&mut self, listener: ListenerId, error: io::Error, now: Instant) {
        let Some(Listener { name, socket, .. }) = self.listeners.get_mut(&listener) else {
            return;
        };
        let Socket::Distributed(distribution) = socket else {
            return;
        };
        if distribution.warned.is_none_or(|since| now.duration_since(since) >= WARNING_PAUSE) {
            distribution.warned = Some(now);
            let address = name.clone();
            self.story.tell(format_args!("connections to {address} have to wait: {error}"));
            self.emit(Event::Unaccepted { address, error });
        }
    }

    /// Tells everybody that the worker's process has ended.
    pub(super) fn exited(&self, worker: WorkerId, exit: Option<Exit>) {
        self.story.exit(worker, exit);
        self.emit(Event::Exited { worker, exit });
    }

    /// The worker has disconnected, and does not exit.
    pub(super) fn staying(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut worker.staying, true) {
            self.emit(Event::Staying(id));
        }
    }

    /// Takes the worker out of every rotation, and what waits in its lane to others.
    pub(super) fn retire(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut worker.retired, true) {
            self.story.tell(format_args!("worker {id} gets no more connections"));
        }
        let hold = worker.hold;
        worker.stand_up();
        let left = self
            .listeners
            .iter_mut()
            .filter_map(|(&listener, it)| it.leave(id).then_some(listener));
        let left: Vec<_> = left.collect();
        self.take_back(id);
        for listener in left {
            self.unserved(listener, hold);
        }
    }

    /// Closes all listeners, and what waits for their workers.
    pub(super) fn retire_all(&mut self) {
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.retire(id);
        }
        self.expire_all();
    }

    /// Leaves the worker its place in every rotation, but takes what waits in its lane to others.
    pub(super) fn pause(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut worker.paused, true) {
            self.story.tell(format_args!("worker {id} is paused"));
            self.tell_seats(id);
            self.take_back(id);
        }
    }

    /// The worker has no descriptor for another connection: others get what waits in its lane, and what
    /// comes to its sockets.
    pub(super) fn exhausted(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut worker.exhausted, true) {
            self.story.tell(format_args!("worker {id} has no descriptors left"));
            self.reseat(id);
            self.take_back(id);
        }
    }

    /// It has some again.
    pub(super) fn recovered(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut worker.exhausted, false) {
            self.story.tell(format_args!("worker {id} has descriptors again"));
            self.reseat(id);
            self.restore(id);
        }
    }

    /// Who accepts from the seats of this worker changes.
    fn tell_seats(&self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id)
            && self.scheduling == Scheduling::ReusePort
        {
            worker.tell_seats();
            self.reseat(id);
        }
    }

    /// Has the tasks of the worker's seats look again at who accepts.
    fn reseat(&self, id: WorkerId) {
        let served = self.listeners.values().filter(|listener| listener.has(id));
        served.filter_map(Listener::distribution).for_each(Distribution::reseat);
    }

    /// The pause is over.
    pub(super) fn resume(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut worker.paused, false) {
            self.story.tell(format_args!("worker {id} is resumed"));
            self.tell_seats(id);
            self.restore(id);
        }
    }

    /// The worker's server on this listener is closed.
    pub(super) fn close(&mut self, id: WorkerId, listener: ListenerId) {
        let Some(found) = self.listeners.get_mut(&listener).filter(|found| found.has(id)) else {
            return;
        };
        let is_last = found.leave(id);
        let hold = self.workers.get(&id).map_or(Duration::ZERO, |worker| {
            worker.stand(listener);
            worker.forget_given(|id| self.listeners.contains_key(&id));
            worker.hold
        });
        self.take_back(id);
        if is_last {
            self.unserved(listener, hold);
        }
    }

    /// The last worker has left the listener, which closes: with connections waiting, no sooner than
    /// after `hold`, unless another worker comes.
    fn unserved(&mut self, id: ListenerId, hold: Duration) {
        let Some(distribution) = self.distribution(id) else {
            return self.shut(id);
        };
        if hold.is_zero() || !distribution.has_waiting() {
            return self.shut(id);
        }
        distribution.held = Some(Instant::now() + hold);
        distribution.room.notify_waiters();
        self.story.tell(format_args!("connections wait for a worker to serve them"));
    }

    /// Closes the listener, with all that waits for it.
    pub(super) fn shut(&mut self, id: ListenerId) {
        let Some(Listener { name, socket, .. }) = self.listeners.remove(&id) else {
            return;
        };
        self.story.tell(format_args!("{name} closed"));
        if let Socket::Distributed(distribution) = socket {
            for seat in distribution.seats {
                seat.task.abort();
                self.closing.push(Rc::downgrade(&seat.socket));
            }
        }
    }

    /// Closes a listener that the worker which asked for it could not join.
    pub(super) fn shut_unserved(&mut self, id: ListenerId) {
        if self.listeners.get(&id).is_some_and(Listener::is_unserved) {
            self.shut(id);
        }
    }

    /// Nobody is to come any more: closes what waits for a worker to serve it.
    pub(super) fn expire_all(&mut self) {
        let is_held =
            |it: &Listener| matches!(&it.socket, Socket::Distributed(it) if it.held.is_some());
        let held = self.listeners.iter().filter(|(_, it)| is_held(it)).map(|(&id, _)| id);
        for id in held.collect::<Vec<_>>() {
            self.shut(id);
        }
    }

    /// Whether sockets of closed listeners are still open.
    pub(super) fn is_closing(&mut self) -> bool {
        self.closing.retain(|open| open.strong_count() > 0);
        !self.closing.is_empty()
    }

    /// Takes back what waits in the worker's lane, and gives it to others: one at a time, so that it
    /// takes no descriptors but for those that nobody has room for. Where there are none at all, the rest
    /// stays in the lane until there are.
    fn take_back(&mut self, id: WorkerId) {
        // The worker itself may get some of it again, which are not to be taken once more.
        let waiting = self.workers.get(&id).map_or(0, Worker::in_lane);
        for _ in 0..waiting {
            match self.take_back_one(id, |counts| counts.reclaimed += 1) {
                Some(Ok(_)) => {}
                Some(Err(Later)) => {
                    self.owed.insert(id);
                    self.owing.notify_one();
                    return;
                }
                None => return,
            }
        }
    }

    /// Says whose connection it was, if there was one. `add` counts it.
    fn take_back_one(
        &mut self,
        id: WorkerId,
        add: fn(&mut Counts),
    ) -> Option<std::result::Result<ListenerId, Later>> {
        match self.workers.get(&id)?.take_back(&mut self.reserve) {
            TakenBack::Nothing => None,
            TakenBack::Later => Some(Err(Later)),
            TakenBack::Connection(listener, connection) => {
                self.taken_back(id, listener, connection, add);
                Some(Ok(listener))
            }
        }
    }

    fn taken_back(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: OwnedFd,
        add: fn(&mut Counts),
    ) {
        self.story.tell(format_args!("a connection taken back from worker {id}"));
        self.count(id, listener, add);
        self.distribute(listener, connection);
        self.reserve.refill();
    }

    /// Tells when [`take_back_owed`](Self::take_back_owed) has something to do.
    pub(super) fn owing(&self) -> Rc<Notify> {
        Rc::clone(&self.owing)
    }

    /// Takes back what could not be taken back before. Says whether something is left, to be tried after
    /// a pause.
    pub(super) fn take_back_owed(&mut self) -> bool {
        for id in std::mem::take(&mut self.owed) {
            self.take_back(id);
        }
        for (id, worker) in std::mem::take(&mut self.departed) {
            let has_more = loop {
                match worker.take_back(&mut self.reserve) {
                    TakenBack::Connection(listener, connection) => {
                        self.taken_back(id, listener, connection, |counts| counts.reclaimed += 1);
                    }
                    TakenBack::Nothing => break false,
                    TakenBack::Later => break true,
                }
            };
            if has_more || self.returning.contains(&id) {
                self.departed.insert(id, worker);
            }
        }
        !self.owed.is_empty() || !self.departed.is_empty()
    }

    /// Makes a call that receives a descriptor, with the last one there is if need be. `None` when there
    /// is none. [`refill`](Self::refill) when that descriptor is closed.
    pub(super) fn lend<T>(&mut self, receive: impl FnOnce() -> T) -> Option<T> {
        self.reserve.lend(receive)
    }

    /// A descriptor may be free again.
    pub(super) fn refill(&mut self) {
        self.reserve.refill();
    }

    /// Counts what became of a connection.
    fn count(&mut self, id: WorkerId, listener: ListenerId, add: fn(&mut Counts)) {
        if let Some(worker) = self.workers.get(&id) {
            worker.count(add);
        }
        if let Some(distribution) = self.distribution(listener) {
            add(&mut distribution.counts);
        }
    }

    /// A listener that several workers may share already has this address.
    pub(super) fn find(&self, id: WorkerId, query: &Query) -> Option<ListenerId> {
        let mut suiting = self.listeners.iter().filter(|(_, found)| found.suits(query, id));
        suiting.next().map(|(&listener, _)| listener)
    }

    /// Binds a new address for a worker, as the policy wants it.
    pub(super) fn open(&self, id: WorkerId, query: Query) -> io::Result<Opened> {
        let is_own = |fd| self.listeners.values().any(|listener| listener.owns(fd));
        if matches!(query.target, Target::Descriptor { fd, .. } if is_own(fd)) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let is_contested = self.workers.get(&id).is_some_and(|worker| worker.is_other_user);
        let bound = listen::bind_query(&query, is_contested)?;
        // Datagrams have no connections to hand over.
        let policy = if query.target.has_datagrams() { None } else { self.scheduling.policy() };
        let has_port = matches!(query.target, Target::Tcp { .. });
        let has_owners = has_port && self.scheduling == Scheduling::ReusePort;
        let distribution = policy.map(|policy| Distribution::new(policy, has_owners));
        Ok(Opened { query, bound, distribution })
    }

    /// A further socket of the listener, if the next worker needs one.
    pub(super) fn sibling(&self, listener: ListenerId) -> io::Result<Option<Bound>> {
        self.listeners.get(&listener).and_then(Listener::sibling).transpose()
    }

    /// The index of the next seat of the listener, and what tells its task of room, and of owners.
    pub(super) fn next_seat(
        &self,
        listener: ListenerId,
    ) -> Option<(usize, Rc<Notify>, Rc<Notify>)> {
        let Distribution { seats, room, reseated, .. } =
            self.listeners.get(&listener)?.distribution()?;
        Some((seats.len(), Rc::clone(room), Rc::clone(reseated)))
    }

    pub(super) fn add_seat(&mut self, listener: ListenerId, seat: Seat) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.seats.push(seat);
        }
    }

    /// The worker that accepts from a seat; otherwise the engine does.
    pub(super) fn acceptor(&self, listener: ListenerId, seat: usize) -> Option<WorkerId> {
        let listener = self.listeners.get(&listener)?;
        let distribution = listener.distribution()?;
        let owner = distribution.seats.get(seat)?.owner()?;
        let serves = |id: &WorkerId| {
            !distribution.resting.contains(id)
                && self.workers.get(id).is_some_and(Worker::is_serving)
        };
        // Where nobody serves, connections had better wait in the backlog.
        (serves(&owner) || !listener.members().any(serves)).then_some(owner)
    }

    /// Connections wait at a seat of the worker. Returns what tells when none do any more.
    pub(super) fn load(&mut self, id: WorkerId) -> Option<Rc<Notify>> {
        let worker = self.workers.get(&id)?;
        if self.loaded.insert(id) {
            worker.watch(Instant::now());
            self.loading.notify_one();
        }
        Some(worker.emptied())
    }

    pub(super) fn next_listener(&mut self) -> ListenerId {
        self.last_listener += 1;
        self.last_listener
    }

    pub(super) fn insert(&mut self, id: ListenerId, listener: Listener) {
        self.story.tell(format_args!("{} bound", listener.name));
        self.listeners.insert(id, listener);
    }

    /// Lets the worker serve the listener: first it is told, then it gets connections.
    pub(super) fn join(
        &mut self,
        id: WorkerId,
        seq: u32,
        listener_id: ListenerId,
        data: Option<serde_json::Value>,
    ) -> Result<()> {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return Ok(());
        };
        let Some(worker) = self.workers.get(&id) else {
            return Ok(());
        };
        listener.data = listener.data.take().or(data);
        let mut owner = None;
        let (kind, socket) = match &listener.socket {
            Socket::Shared(bound) => (Some(SocketKind::Shared), Some(bound)),
            Socket::Distributed(distribution) => match distribution.free_seat() {
                Some(seat) => {
                    let number = worker.sit(listener_id, &seat.socket);
                    owner = Some(Owner::new(id, number, worker.tally()));
                    (Some(SocketKind::Own { seat: number }), Some(&*seat.socket))
                }
                None => (None, None),
            },
        };
        let socket = match socket.map(|bound| bound.socket.try_clone()).transpose() {
            Ok(socket) => socket,
            Err(error) => {
                worker.stand(listener_id);
                return self.refuse(id, seq, &error);
            }
        };
        let reply = Reply {
            seq,
            errno: 0,
            listener: listener_id,
            socket: kind,
            address: listener.address.clone(),
            data: listener.data.clone(),
        };
        worker.order(&Order::Reply(reply), socket)?;
        listener.join(id, owner);
        self.story.tell(format_args!("worker {id} serves {}", listener.name));
        self.pump(listener_id);
        Ok(())
    }

    /// Tells the worker why it can't serve an address.
    pub(super) fn refuse(&self, id: WorkerId, seq: u32, error: &io::Error) -> Result<()> {
        self.story.tell(format_args!("worker {id} can't listen: {error}"));
        let Some(worker) = self.workers.get(&id) else {
            return Ok(());
        };
        let reply = Reply { seq, errno: errno(error), ..Reply::default() };
        worker.order(&Order::Reply(reply), None)
    }

    pub(super) fn is_retired(&self, id: WorkerId) -> bool {
        self.workers.get(&id).is_none_or(|worker| worker.retired)
    }

    /// Whether a worker may serve one more listener.
    pub(super) fn may_listen(&self, id: WorkerId) -> Result<()> {
        let most = MAX_LISTENERS.min(descriptor_limit() / DESCRIPTOR_SHARE);
        let count = self.listeners.values().filter(|listener| listener.has(id)).count();
        if count < most { Ok(()) } else { Err(Error::Quota("listeners", most)) }
    }

    /// A worker says that it can't serve this connection. Without a descriptor, this process had none
    /// left for it.
    ///
    /// # Errors
    /// When it is none that the worker can have from this listener.
    pub(super) fn give_back(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: Option<OwnedFd>,
    ) -> Result<()> {
        let worker = self.workers.get(&id).or_else(|| self.departed.get(&id));
        let may_have = worker.is_some_and(|worker| worker.gives_back(listener));
        let Some(found) = self.listeners.get(&listener) else {
            // Of one that is closed, nobody can tell any more.
            let was_there = (1..=self.last_listener).contains(&listener);
            return if was_there {
                Ok(())
            } else {
                Err(Error::NotItsConnection("no listener has"))
            };
        };
        if !may_have {
            return Err(Error::NotItsConnection("the worker was not given"));
        }
        let Some(connection) = connection else {
            return Ok(());
        };
        match found.origin(&connection) {
            Origin::Elsewhere => Err(Error::NotItsConnection("is not one of the listener's")),
            // Its client has gone.
            Origin::Ended => Ok(()),
            Origin::Listener => {
                if listen::make_usual(&connection).is_ok() {
                    self.returned(id, listener, connection);
                }
                Ok(())
            }
        }
    }

    /// A connection that a worker could not serve; that worker is not asked again for a while.
    pub(super) fn returned(&mut self, id: WorkerId, listener: ListenerId, connection: OwnedFd) {
        self.story.tell(format_args!("worker {id} returned a connection"));
        self.count(id, listener, |counts| counts.returned += 1);
        // It may have left meanwhile, and never come back.
        if self.listeners.get(&listener).is_some_and(|listener| listener.has(id))
            && let Some(distribution) = self.distribution(listener)
        {
            distribution.resting.insert(id);
            distribution.parked.insert(id);
            distribution.reseat();
        }
        self.distribute(listener, connection);
    }

    /// The rest after [`returned`](Self::returned) is over.
    pub(super) fn rested(&mut self, id: WorkerId, listener: ListenerId) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.resting.remove(&id);
            distribution.policy.restore(id);
        }
        self.pump(listener);
    }

    fn distribution(&mut self, listener: ListenerId) -> Option<&mut Distribution> {
        match &mut self.listeners.get_mut(&listener)?.socket {
            Socket::Distributed(distribution) => Some(distribution),
            Socket::Shared(_) => None,
        }
    }

    /// A new connection.
    pub(super) fn accepted(&mut self, listener: ListenerId, connection: OwnedFd) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.accepted(connection);
            self.pump(listener);
            self.reserve.refill();
        }
    }

    /// Hands a connection that was at a worker to another, or keeps it until one has room. With the
    /// listener gone, it is closed.
    fn distribute(&mut self, listener: ListenerId, connection: OwnedFd) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.returned(connection);
            self.pump(listener);
        }
    }

    /// All that is known of connections.
    pub(super) fn stats(&self) -> Stats {
        let mut listeners: Vec<_> = self.listeners.iter().collect();
        listeners.sort_unstable_by_key(|(id, _)| **id);
        let mut workers: Vec<_> = self.workers.iter().map(|(&id, it)| it.stats(id)).collect();
        workers.sort_unstable_by_key(|worker| worker.id);
        let listeners = listeners.into_iter().filter_map(|(_, listener)| listener.stats());
        Stats { listeners: listeners.collect(), workers }
    }

    /// What the task of the listener may do now.
    pub(super) fn stance(&mut self, listener: ListenerId) -> Stance {
        match self.distribution(listener) {
            Some(Distribution { held: Some(until), .. }) => Stance::Hold(*until),
            Some(distribution) if !distribution.pending.is_empty() => Stance::Wait,
            _ => Stance::Accept,
        }
    }

    /// When to look for room in the worker's control lane, at the earliest, if orders wait for some.
    pub(super) fn flush_at(&self, id: WorkerId) -> Option<Instant> {
        self.workers.get(&id)?.flush_at()
    }

    /// When to look for room in the worker's lane, at the earliest, if it is full.
    pub(super) fn retry(&self, id: WorkerId) -> Option<Instant> {
        self.workers.get(&id)?.retry()
    }

    /// Why a lane of the worker is to be given up, if so. Says it once.
    pub(super) fn take_fault(&self, id: WorkerId) -> Option<Fault> {
        self.workers.get(&id)?.take_fault()
    }

    pub(super) fn flush_orders(&self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            worker.flush_orders();
        }
    }

    /// Tells when there is something to patrol: connections wait for a worker for which none did.
    pub(super) fn loading(&self) -> Rc<Notify> {
        Rc::clone(&self.loading)
    }

    /// The worker's lane has room again.
    pub(super) fn drained(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            worker.drained();
        }
        self.restore(id);
    }

    /// The worker may take connections again: policies hear of it, and what is pending may have been
    /// waiting for that.
    fn restore(&mut self, id: WorkerId) {
        for listener in self.listeners.values_mut() {
            listener.restore(id);
        }
        self.pump_all();
    }

    fn pump_all(&mut self) {
        let listeners: Vec<_> = self.listeners.keys().copied().collect();
        for listener in listeners {
            self.pump(listener);
        }
    }

    /// Hands out what is pending, as far as there is room.
    fn pump(&mut self, id: ListenerId) {
        let Some(Listener { name, socket, .. }) = self.listeners.get_mut(&id) else {
            return;
        };
        let Socket::Distributed(distribution) = socket else {
            return;
        };
        while let Some(pending) = distribution.pending.pop_front() {
            let placed = place(distribution, &self.workers, id, &pending.connection);
            let Some((chosen, worker)) = placed else {
                distribution.pending.push_front(pending);
                return;
            };
            self.story.tell(format_args!("a connection to {name} goes to worker {chosen}"));
            distribution.counts.handed_over += 1;
            worker.count(|counts| counts.handed_over += 1);
            if let Some(accepted) = pending.accepted {
                distribution.handover.add(accepted.elapsed());
            }
            if self.loaded.insert(chosen) {
                worker.watch(Instant::now());
                self.loading.notify_one();
            }
        }
        distribution.room.notify_waiters();
        // What they would accept now has room.
        let Distribution { parked, resting, .. } = &mut **distribution;
        let accepting: Vec<_> = parked.extract_if(|id| !resting.contains(id)).collect();
        accepting.into_iter().for_each(|id| self.tell_seats(id));
    }
}

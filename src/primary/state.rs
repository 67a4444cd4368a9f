mod patrol;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub(super) use patrol::Outlook;

use super::{
    engine::{Emit, Event, Scheduling, Settings},
    guard::Guard,
    listener::{Distribution, Listener, Seat, SeatId, Socket},
    placement::place,
    quota::{Claimed, DESCRIPTOR_SHARE, MAX_LISTENERS, descriptors_at, may_take},
    stats::{Counters, Counts, Owner},
    story::Story,
    worker::{TakenBack, Worker},
};
use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId, WorkerId,
        control::{BoundAddress, Query, Reply, SocketKind, Target, ToWorker},
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

/// Everything the engine thread owns. Calls wait for no peer; binding a path waits for its file system, and an
/// accept that a worker makes wait is ended by `guard`. All else that waits is in the tasks of `driver` and `seat`.
pub(super) struct State {
    scheduling: Scheduling,
    story: Story,
    emit: Emit,
    /// What others read.
    counters: Arc<Counters>,
    /// Keeps the sockets that workers have as well from making this thread wait.
    guard: Rc<Guard>,
    workers: HashMap<WorkerId, Worker>,
    listeners: HashMap<ListenerId, Listener>,
    /// How many ids listeners have been given. After the last one, it begins anew.
    listener_ids: u64,
    /// Workers for which connections may wait, in lanes or at seats.
    loaded: HashSet<WorkerId>,
    loading: Rc<Notify>,
    /// Tells that connections have begun to wait for a worker to come.
    holding: Rc<Notify>,
    /// Tells that a socket is closed, or that a worker has closed its descriptor of one.
    released: Rc<Notify>,
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

/// What is to be taken back is to be tried again after a pause.
#[derive(Debug)]
struct Later;

impl State {
    pub(super) fn new(
        settings: Settings,
        emit: Emit,
        reserve: Reserve,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            scheduling: settings.scheduling.available(),
            story: Story::new(settings.story),
            emit,
            counters,
            guard: Rc::default(),
            workers: HashMap::new(),
            listeners: HashMap::new(),
            listener_ids: 0,
            loaded: HashSet::new(),
            loading: Rc::new(Notify::new()),
            holding: Rc::new(Notify::new()),
            released: Rc::new(Notify::new()),
            reserve,
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
        self.counters.add_worker(id, worker.counters());
        self.workers.insert(id, worker);
    }

    /// The worker's process has ended. What it had not taken goes to others, and all that it was the
    /// last to serve is closed.
    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        self.retire(id);
        self.counters.remove_worker(id);
        let worker = self.workers.remove(&id)?;
        let is_owed = self.owed.remove(&id) || self.returning.contains(&id);
        let hold = worker.hold;
        // Connections may come back yet.
        let removed = if is_owed {
            self.departed.insert(id, worker);
            None
        } else {
            Some(worker)
        };
        self.listeners.values_mut().for_each(|listener| listener.forget(id));
        let held = self
            .listeners
            .iter_mut()
            .filter_map(|(&it, listener)| listener.release(id).then_some(it));
        for listener in held.collect::<Vec<_>>() {
            self.left(listener, hold);
        }
        removed
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
            self.left(listener, hold);
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

    /// The worker says whether it has no descriptors. Returns when to [`settle_claim`](Self::settle_claim), if
    /// it has said something else only just.
    pub(super) fn claim(
        &mut self,
        id: WorkerId,
        is_exhausted: bool,
        now: Instant,
    ) -> Option<Instant> {
        let worker = self.workers.get_mut(&id)?;
        match worker.claim.say(is_exhausted, worker.exhausted, now) {
            Claimed::Already => return None,
            Claimed::At(then) => return Some(then),
            Claimed::Now if is_exhausted => self.exhausted(id),
            Claimed::Now => self.recovered(id),
        }
        None
    }

    /// What the worker has said last of its descriptors holds.
    pub(super) fn settle_claim(&mut self, id: WorkerId, now: Instant) {
        match self.workers.get_mut(&id).map(|worker| worker.claim.settle(now)) {
            Some(true) => self.exhausted(id),
            Some(false) => self.recovered(id),
            None => {}
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

    /// The worker's server on this listener is closed, and the descriptor that it had of the socket.
    pub(super) fn close(&mut self, id: WorkerId, listener: ListenerId) {
        let Some(found) = self.listeners.get_mut(&listener) else {
            return;
        };
        let (has_left, has_released) = (found.has(id), found.release(id));
        let is_last = found.leave(id);
        let hold = self.workers.get(&id).map_or(Duration::ZERO, |worker| {
            worker.stand(listener);
            worker.forget_given(|id| self.listeners.contains_key(&id));
            worker.hold
        });
        if has_left {
            self.take_back(id);
        }
        if is_last || has_released {
            self.left(listener, hold);
        }
    }

    /// A worker has left the listener, or closed its descriptor of a socket. The address is closed if it
    /// was the last one. What waits is closed as well, after `hold` unless another worker comes.
    fn left(&mut self, id: ListenerId, hold: Duration) {
        self.released.notify_waiters();
        let Some(listener) = self.listeners.get_mut(&id).filter(|it| !it.is_served()) else {
            return;
        };
        let is_lingering = listener.is_lingering();
        if !is_lingering {
            if !hold.is_zero() {
                listener.accept_backlog();
            }
            listener.close();
            self.story.tell(format_args!("{} closed", listener.name));
        }
        let Socket::Distributed(distribution) = &mut listener.socket else {
            if !is_lingering {
                self.forget_listener(id);
            }
            return;
        };
        // Who sees that a connection is closed finds the address free.
        if hold.is_zero() {
            distribution.close_pending();
        }
        // Some may still be in lanes of workers that have gone.
        let may_come = !self.owed.is_empty() || !self.departed.is_empty();
        if may_come && !hold.is_zero() || !distribution.pending.is_empty() {
            distribution.held.get_or_insert_with(|| Instant::now() + hold);
            self.story.tell(format_args!("connections wait for a worker to serve them"));
            self.holding.notify_one();
        } else if !is_lingering {
            self.forget_listener(id);
        }
    }

    fn forget_listener(&mut self, id: ListenerId) -> Option<Listener> {
        self.counters.remove_listener(id);
        self.listeners.remove(&id)
    }

    /// Closes the listener, with all that waits for it.
    fn shut(&mut self, id: ListenerId) {
        let Some(mut listener) = self.forget_listener(id) else {
            return;
        };
        self.story.tell(format_args!("{} closed", listener.name));
        listener.close();
        drop(listener);
        self.released.notify_waiters();
    }

    /// Closes a listener that the worker which asked for it could not join. Connections that waited for
    /// such a worker go on waiting.
    pub(super) fn close_unserved(&mut self, id: ListenerId) {
        let is_unused = |it: &&mut Listener| !it.is_served() && !it.is_lingering();
        match self.listeners.get_mut(&id).filter(is_unused) {
            Some(listener) if listener.is_waiting() => listener.close(),
            Some(_) => self.shut(id),
            None => {}
        }
    }

    /// Closes connections that have waited too long for a worker to come. Returns when to look again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let held = |it: &Listener| it.distribution()?.held;
        let over =
            self.listeners.iter().filter(|(_, it)| held(it).is_some_and(|until| until <= now));
        for id in over.map(|(&id, _)| id).collect::<Vec<_>>() {
            let listener = self.listeners.get_mut(&id).filter(|it| it.is_bound());
            match listener.map(|listener| &mut listener.socket) {
                // Workers that have left still hold the address.
                Some(Socket::Distributed(distribution)) => {
                    distribution.held = None;
                    distribution.close_pending();
                }
                _ => self.shut(id),
            }
        }
        self.listeners.values().filter_map(held).min()
    }

    /// No worker is to come any more: closes what waits for one.
    pub(super) fn expire_all(&mut self) {
        let unserved = self.listeners.iter().filter(|(_, it)| !it.is_served());
        for id in unserved.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.shut(id);
        }
    }

    /// Tells that connections have begun to wait for a worker to come.
    pub(super) fn holding(&self) -> Rc<Notify> {
        Rc::clone(&self.holding)
    }

    /// Tells that a socket is closed, or that a worker has closed its descriptor of one.
    pub(super) fn released(&self) -> Rc<Notify> {
        Rc::clone(&self.released)
    }

    /// Whether workers that have left still hold addresses.
    pub(super) fn is_lingering(&self) -> bool {
        self.listeners.values().any(Listener::is_lingering)
    }

    /// Whether the worker has descriptors of sockets.
    pub(super) fn holds_sockets(&self, id: WorkerId) -> bool {
        self.listeners.values().any(|listener| listener.is_held_by(id))
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
        // The worker may have looked at the packet, and so have a duplicate. It fails only for what is not
        // a socket, which the engine has put there itself.
        let _ = listen::make_usual(&connection);
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
    /// is none. If a descriptor comes, [`refill`](Self::refill) when it is closed.
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
            distribution.counters.count(add);
        }
    }

    /// A listener that several workers may share already has this address.
    pub(super) fn find(&self, id: WorkerId, query: &Query) -> Option<ListenerId> {
        let mut suiting = self.listeners.iter().filter(|(_, found)| found.suits(query, id));
        suiting.next().map(|(&listener, _)| listener)
    }

    /// Whether the worker serves this address already.
    pub(super) fn serves(&self, id: WorkerId, query: &Query) -> bool {
        self.listeners.values().any(|listener| listener.is_for(query) && listener.has(id))
    }

    /// Binds what the query of a worker asks for. Descriptors of the engine are nobody else's.
    pub(super) fn bind(&self, id: WorkerId, query: &Query) -> io::Result<Bound> {
        let is_own = |fd| self.listeners.values().any(|listener| listener.owns(fd));
        if matches!(query.target, Target::Descriptor { fd, .. } if is_own(fd)) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.check_room(id, descriptors_at(&query.target))?;
        let is_contested = self.workers.get(&id).is_some_and(|worker| worker.is_other_user);
        listen::bind_query(query, is_contested)
    }

    /// What hands out the connections of an address, unless workers accept them from a shared socket.
    pub(super) fn new_distribution(&self, target: &Target) -> Option<Distribution> {
        // Datagrams have no connections to hand over.
        let policy = if target.has_datagrams() { None } else { self.scheduling.policy() };
        let has_port = matches!(target, Target::Tcp { .. });
        let has_owners = has_port && self.scheduling == Scheduling::ReusePort;
        policy.map(|policy| Distribution::new(policy, has_owners))
    }

    /// Takes over the connections that wait for a worker at this address since another query had bound it.
    pub(super) fn inherit(&mut self, heir: ListenerId) {
        let address = self.listeners.get(&heir).and_then(|heir| heir.address.as_ref());
        let is_same = |it: &Listener| !it.is_bound() && it.address.as_ref() == address;
        let mut held = self
            .listeners
            .iter()
            .filter(|(id, it)| **id != heir && address.is_some() && is_same(it));
        let Some((&id, _)) = held.next() else {
            return;
        };
        let held = self.forget_listener(id).map(|listener| listener.socket);
        if let Some((Socket::Distributed(held), heir)) = held.zip(self.distribution(heir)) {
            heir.take_pending(held.pending);
            heir.likenesses.extend(held.likenesses);
        }
    }

    /// A listener whose connections wait for a worker, with no socket any more.
    pub(super) fn unbound(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(&id).filter(|listener| !listener.is_bound())
    }

    /// The address of a listener is bound again.
    pub(super) fn rebound(&mut self, id: ListenerId, query: Query, address: Option<BoundAddress>) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.rebound(query, address);
            listener.publish();
            self.story.tell(format_args!("{} bound", listener.name));
        }
    }

    /// What guards accepting.
    pub(super) fn guard(&self) -> Rc<Guard> {
        Rc::clone(&self.guard)
    }

    /// A further socket of the listener, if the worker needs one.
    pub(super) fn sibling(
        &self,
        listener: ListenerId,
        worker: WorkerId,
    ) -> io::Result<Option<Bound>> {
        let found = self.listeners.get(&listener);
        let Some(found) = found.filter(|it| it.needs_sibling(worker)) else {
            return Ok(None);
        };
        self.check_room(worker, 1)?;
        found.sibling().transpose()
    }

    /// Whether listeners may take so many more descriptors, for this worker.
    ///
    /// # Errors
    /// `EMFILE` when they may not.
    fn check_room(&self, id: WorkerId, more: usize) -> io::Result<()> {
        let queued = |id: WorkerId| self.workers.get(&id).map_or(0, Worker::queued_sockets);
        let of_worker = self.listeners.values().map(|it| it.descriptors_for(id)).sum::<usize>();
        let of_all = self.listeners.values().map(Listener::descriptors).sum::<usize>();
        let all_queued = self.workers.keys().copied().map(queued).sum::<usize>();
        let (own, all) = (of_worker + queued(id) + more, of_all + all_queued + more);
        match may_take(own, all, descriptor_limit()) {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        }
    }

    /// The id of the next seat of the listener, and what tells its task of room, and of owners.
    pub(super) fn next_seat(
        &mut self,
        listener: ListenerId,
    ) -> Option<(SeatId, Rc<Notify>, Rc<Notify>)> {
        let distribution = self.distribution(listener)?;
        let id = distribution.next_seat();
        Some((id, Rc::clone(&distribution.room), Rc::clone(&distribution.reseated)))
    }

    pub(super) fn add_seat(&mut self, listener: ListenerId, seat: Seat) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.add(seat);
        }
    }

    /// A seat's socket is about to be closed. Returns whose seat it was.
    pub(super) fn remove_seat(&mut self, listener: ListenerId, seat: SeatId) -> Option<WorkerId> {
        let owner = self.listeners.get_mut(&listener)?.remove_seat(seat)?;
        self.workers.get(&owner)?.stand(listener);
        Some(owner)
    }

    /// The worker that accepts from a seat; otherwise the engine does.
    pub(super) fn acceptor(&self, listener: ListenerId, seat: SeatId) -> Option<WorkerId> {
        let listener = self.listeners.get(&listener)?;
        let distribution = listener.distribution()?;
        let owner = distribution.seat(seat)?.owner()?;
        let serves = |id: &WorkerId| {
            !distribution.resting.contains_key(id)
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

    /// An id that no listener has, and of which no worker has a connection that it may return.
    pub(super) fn next_listener(&mut self) -> ListenerId {
        loop {
            // From 1 on.
            let id = (self.listener_ids % u64::from(ListenerId::MAX)) as ListenerId + 1;
            self.listener_ids += 1;
            let mut workers = self.workers.values().chain(self.departed.values());
            if !self.listeners.contains_key(&id) && !workers.any(|it| it.has_of(id)) {
                return id;
            }
        }
    }

    /// As if so many listeners had been there.
    #[cfg(test)]
    pub(super) fn skip_listeners(&mut self, count: u64) {
        self.listener_ids += count;
    }

    pub(super) fn insert(&mut self, id: ListenerId, listener: Listener) {
        self.story.tell(format_args!("{} bound", listener.name));
        listener.publish();
        if let Some(distribution) = listener.distribution() {
            self.counters.add_listener(id, Arc::clone(&distribution.counters));
        }
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
            Socket::Shared(bound) => (Some(SocketKind::Shared), Some(bound.socket.try_clone())),
            Socket::Distributed(distribution) => {
                match distribution.free_seat(id).filter(|_| worker.counts()) {
                    Some(seat) => {
                        let number = worker.sit(listener_id, &seat.socket);
                        owner = Some(Owner::new(id, number, worker.tally()));
                        (Some(SocketKind::Own { seat: number }), Some(seat.socket.duplicate()))
                    }
                    None => (None, None),
                }
            }
        };
        let socket = match socket.transpose() {
            Ok(socket) => socket,
            Err(error) => {
                worker.stand(listener_id);
                return self.refuse(id, seq, &error);
            }
        };
        let reply = Reply {
            seq,
            after: worker.tally().messages(),
            errno: 0,
            listener: listener_id,
            socket: kind,
            address: listener.address.clone(),
            data: listener.data.clone(),
        };
        // Who hears of it finds it told by `stats()`. One that can't be told is about to leave everything.
        listener.join(id, owner);
        worker.order(&ToWorker::Reply(reply), socket)?;
        if kind.is_some() {
            listener.lend(id);
        }
        self.story.tell(format_args!("worker {id} serves {}", listener.name));
        self.pump(listener_id);
        Ok(())
    }

    /// The worker has lost its own socket, and so leaves its seat. Says whether it had one.
    pub(super) fn lose_seat(&mut self, id: WorkerId, listener: ListenerId) -> bool {
        let had_seat = self.listeners.get_mut(&listener).is_some_and(|it| it.unseat(id));
        if let Some(worker) = self.workers.get(&id).filter(|_| had_seat) {
            worker.stand(listener);
        }
        had_seat
    }

    /// Whether the worker is to accept from a socket of its own, and has none.
    pub(super) fn lacks_seat(&self, id: WorkerId, listener: ListenerId) -> bool {
        let counts = self.workers.get(&id).is_some_and(Worker::counts);
        counts && self.listeners.get(&listener).is_some_and(|it| it.lacks_seat(id))
    }

    /// The query and the address of a listener of which no socket listens any more.
    pub(super) fn lost(&self, listener: ListenerId) -> Option<(Query, Option<BoundAddress>)> {
        let (query, address) = self.listeners.get(&listener)?.lost()?;
        Some((query.clone(), address.cloned()))
    }

    /// Gives the worker a seat that is free, in place of one that it has lost.
    pub(super) fn seat_again(&mut self, id: WorkerId, listener_id: ListenerId) -> io::Result<()> {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return Ok(());
        };
        let free = listener.distribution().and_then(|it| it.free_seat(id));
        let Some((worker, seat)) = self.workers.get(&id).zip(free) else {
            return Ok(());
        };
        let socket = seat.socket.duplicate()?;
        self.story.tell(format_args!("worker {id} gets another socket of {}", listener.name));
        let number = worker.sit(listener_id, &seat.socket);
        listener.seat(Owner::new(id, number, worker.tally()));
        listener.lend(id);
        // It fails for a worker that does not read its orders, which is at fault with its next request.
        let _ = worker.order(&ToWorker::Seat { listener: listener_id, seat: number }, Some(socket));
        Ok(())
    }

    /// Tells the worker why it can't serve an address.
    pub(super) fn refuse(&self, id: WorkerId, seq: u32, error: &io::Error) -> Result<()> {
        self.story.tell(format_args!("worker {id} can't listen: {error}"));
        let Some(worker) = self.workers.get(&id) else {
            return Ok(());
        };
        let after = worker.tally().messages();
        let reply = Reply { seq, after, errno: errno(error), ..Reply::default() };
        worker.order(&ToWorker::Reply(reply), None)
    }

    pub(super) fn is_retired(&self, id: WorkerId) -> bool {
        self.workers.get(&id).is_none_or(|worker| worker.retired)
    }

    /// A worker is to wait for an address, unless it waits for too many already.
    pub(super) fn begin_wait(&self, id: WorkerId) -> bool {
        self.workers.get(&id).is_some_and(Worker::begin_wait)
    }

    /// It waits no longer.
    pub(super) fn end_wait(&self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            worker.end_wait();
        }
    }

    /// Whether a worker may serve one more listener.
    pub(super) fn may_listen(&self, id: WorkerId) -> Result<()> {
        let most = MAX_LISTENERS.min(descriptor_limit() / DESCRIPTOR_SHARE);
        let count = self.listeners.values().filter(|listener| listener.has(id)).count();
        if count < most { Ok(()) } else { Err(Error::Quota("listeners", most)) }
    }

    /// A worker says that it can't serve this connection, and gets a rest until then. Without a descriptor,
    /// this process had none left for it.
    ///
    /// # Errors
    /// When it is none that the worker can have from this listener.
    pub(super) fn give_back(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: Option<OwnedFd>,
        rest: Instant,
    ) -> Result<()> {
        let worker = self.workers.get(&id).or_else(|| self.departed.get(&id));
        let may_have = worker.is_some_and(|worker| worker.gives_back(listener));
        let Some(found) = self.listeners.get(&listener) else {
            // Of one that is closed, nobody can tell any more.
            let was_there = (1..=self.listener_ids).contains(&listener.into());
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
                    self.returned(id, listener, connection, rest);
                }
                Ok(())
            }
        }
    }

    /// A connection that a worker could not serve; that worker is not asked again until `rest` has passed, and
    /// [`rested`](Self::rested) was called.
    pub(super) fn returned(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: OwnedFd,
        rest: Instant,
    ) {
        self.story.tell(format_args!("worker {id} returned a connection"));
        self.count(id, listener, |counts| counts.returned += 1);
        // It may have left meanwhile, and never come back.
        if self.listeners.get(&listener).is_some_and(|listener| listener.has(id))
            && let Some(distribution) = self.distribution(listener)
        {
            distribution.resting.insert(id, rest);
            distribution.parked.insert(id);
            distribution.reseat();
        }
        self.distribute(listener, connection);
    }

    /// A rest after [`returned`](Self::returned) is over, unless another one has begun.
    pub(super) fn rested(&mut self, id: WorkerId, listener: ListenerId, now: Instant) {
        if let Some(distribution) = self.distribution(listener) {
            if distribution.resting.get(&id).is_some_and(|rest| *rest > now) {
                return;
            }
            distribution.resting.remove(&id);
            distribution.policy.restore(id);
        }
        self.pump(listener);
    }

    pub(super) fn distribution(&mut self, listener: ListenerId) -> Option<&mut Distribution> {
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

    /// Whether the tasks of the listener may accept connections now: a worker serves it, and has room for
    /// those that are accepted already.
    pub(super) fn may_accept(&self, listener: ListenerId) -> bool {
        let listener = self.listeners.get(&listener).filter(|listener| listener.is_served());
        listener.and_then(Listener::distribution).is_some_and(|it| it.pending.is_empty())
    }

    /// Says that the worker's server is closed, and with it the address if it was the last one's.
    pub(super) fn confirm_closed(&self, id: WorkerId, listener: ListenerId) -> Result<()> {
        let worker = self.workers.get(&id);
        worker.map_or(Ok(()), |worker| worker.order(&ToWorker::Closed { listener }, None))
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
        let served = self.listeners.iter_mut().filter(|(_, listener)| listener.has(id));
        let restored = served.map(|(&served, listener)| {
            listener.restore(id);
            served
        });
        for listener in restored.collect::<Vec<_>>() {
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
            // Who is served finds it counted.
            let counters = Arc::clone(&distribution.counters);
            counters.set_waiting(distribution.pending.len());
            counters.count(|counts| counts.handed_over += 1);
            let time = pending.accepted.map(|accepted| accepted.elapsed());
            time.inspect(|time| counters.add_handover(*time));
            let placed = place(distribution, &self.workers, id, &pending.connection);
            let Some((chosen, worker)) = placed else {
                counters.count(|counts| counts.handed_over -= 1);
                time.inspect(|time| counters.remove_handover(*time));
                distribution.pending.push_front(pending);
                counters.set_waiting(distribution.pending.len());
                return;
            };
            drop(pending);
            self.reserve.refill();
            self.story.tell(format_args!("a connection to {name} goes to worker {chosen}"));
            if self.loaded.insert(chosen) {
                worker.watch(Instant::now());
                self.loading.notify_one();
            }
        }
        distribution.room.notify_waiters();
        // What they would accept now has room.
        let Distribution { parked, resting, .. } = &mut **distribution;
        let accepting: Vec<_> = parked.extract_if(|id| !resting.contains_key(id)).collect();
        accepting.into_iter().for_each(|id| self.tell_seats(id));
    }
}

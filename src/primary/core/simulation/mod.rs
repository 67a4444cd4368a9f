//! The core with workers, sockets and clients in memory. Whatever happens to workers, each client is in one
//! place at any time and is served once, every available worker is used in the end, and a worker that is
//! not available has a reason for it that ends.

mod cases;
mod checks;
mod handover;
mod looks;
mod many_workers;
mod memory;
mod parking;
mod stalls;
mod standby;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use self::memory::{Client, Clients, Counts, Memory, MemoryLanes, MemorySocket, Notices, Place};
use super::{
    availability::Standing,
    driver::{Lanes, NewWorker, Socket},
    listener::{Delivery, Listener},
    listening::{Joining, Plan},
    sockets::SocketId,
    state::Core,
    stats::{Counters, WorkerCounters},
};
use crate::{
    protocol::{
        ListenerId, WorkerId,
        control::{Query, SocketKind, Target, ToWorker},
    },
    scheduler::{Scheduling, simulation::Random},
};

/// How long connections wait for the next worker: longer than any simulation.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1_000_000);

/// How long a worker that returned a connection gets no other one of the listener.
const COOLDOWN: Duration = Duration::from_millis(10);

/// Clients that wait at a socket, at most.
const BACKLOG: usize = 64;

/// Connections that an acceptor accepts in one turn.
const A_TURN: usize = 16;

const ADDRESSES: usize = 2;

/// What happens at a worker. Addresses are numbers.
#[derive(Debug, Clone, Copy)]
enum Step {
    Listen(usize),
    Close(usize),
    /// It takes so many connections, from its queue and its own sockets, and serves them.
    Serve(usize),
    /// It takes one from its queue, and returns it.
    Return,
    /// A client of its own goes away.
    Hang,
    /// It reads its messages, and answers probes.
    Read,
    /// Its event loop stops.
    Block,
    /// Its event loop goes on.
    Unblock,
    Pause,
    Resume,
    /// It reports that it has no descriptors.
    Exhaust,
    /// It reports that it has some again.
    Recover,
    /// It ends listening at its own socket of an address, and reports that or not.
    Spoil(usize, bool),
    /// The engine's task of it sees room in its queue, if there is.
    SeeRoom,
    /// The engine has no descriptor for what is taken back from it, or has some again.
    Shortage(bool),
    /// It answers a probe that it has not been sent.
    AnswerUnasked,
    Withdraw,
    /// It drains; its idle connections go to others or not.
    Drain(bool),
    /// One of its own clients is idle, and moves; how long it may stay, in milliseconds, if that ends.
    Park(Option<u64>),
    /// Its process ends, perhaps with a request that the engine has not read yet.
    Die(bool),
    /// Elsewhere: another worker.
    Fork,
    /// Elsewhere: so many clients connect to an address.
    Connect(usize, usize),
    /// Elsewhere: a few parked clients send something.
    Speak,
    /// Elsewhere: the tasks at a few sockets get a turn.
    Accept,
    /// Elsewhere: so many milliseconds pass.
    Pass(u64),
}

/// A worker, as the test plays it.
struct Player {
    lanes: Rc<MemoryLanes>,
    is_blocked: bool,
    is_exhausted: bool,
    is_paused: bool,
    is_withdrawn: bool,
    /// Whether it may accept from sockets of its own.
    accepts: bool,
    /// Listeners from whose sockets it accepts nothing before it is told that it may: it has returned a
    /// connection of theirs.
    quiet: HashSet<ListenerId>,
    sockets: Vec<(ListenerId, Rc<MemorySocket>)>,
    /// Its own clients, and the listeners that they came from.
    served: Vec<(ListenerId, u32)>,
}

/// The engine's task at a socket: it looks again at who accepts only when it has been notified.
struct Acceptor {
    socket: Rc<MemorySocket>,
    notices: Rc<Notices>,
    waits_for: WaitsFor,
    /// Whether it is in the list of those where something may wait.
    is_listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// Its turn.
    Turn,
    /// Room, or a worker that accepts: the next notice after so many.
    Room(u64),
    /// A connection, or the next notice after so many, while this worker accepts.
    Connection(WorkerId, u64),
    /// That nothing waits for the worker, after so many times, or a notice.
    Emptied(WorkerId, u64, u64),
}

struct Simulation {
    core: Core<Memory>,
    counters: Arc<Counters>,
    clients: Rc<Clients>,
    scheduling: Scheduling,
    workers: BTreeMap<WorkerId, Player>,
    forked: WorkerId,
    listeners: [Option<ListenerId>; ADDRESSES],
    members: HashSet<(ListenerId, WorkerId)>,
    acceptors: HashMap<(ListenerId, SocketId), Acceptor>,
    /// Those of which the sockets may have something to accept.
    ready: Vec<(ListenerId, SocketId)>,
    /// Workers whose last requests have not been read.
    unread: Vec<WorkerId>,
    random: Random,
    now: Instant,
}

impl Simulation {
    fn new(scheduling: Scheduling) -> Self {
        let (counters, clients) = (Arc::<Counters>::default(), Rc::<Clients>::default());
        let (reports, orders) = Default::default();
        let driver = Memory { clients: Rc::clone(&clients), reports, orders };
        Self {
            core: Core::new(driver, scheduling, Arc::clone(&counters)),
            counters,
            clients,
            scheduling,
            workers: BTreeMap::new(),
            forked: 0,
            listeners: [None; ADDRESSES],
            members: HashSet::new(),
            acceptors: HashMap::new(),
            ready: Vec::new(),
            unread: Vec::new(),
            random: Random::new(),
            now: Instant::now(),
        }
    }

    fn fork(&mut self) -> WorkerId {
        self.fork_with(QUEUE_TIMEOUT)
    }

    fn fork_with(&mut self, queue_timeout: Duration) -> WorkerId {
        self.forked += 1;
        let id = self.forked;
        let lanes = MemoryLanes::new(id, &self.clients);
        let counters = Arc::new(WorkerCounters::new(Arc::clone(&lanes.counts) as _));
        let its_lanes = Rc::clone(&lanes);
        let new = NewWorker { lanes: its_lanes, counters, queue_timeout, is_other_user: false };
        self.core.add_worker(id, new, self.now);
        let player = Player {
            lanes,
            is_blocked: false,
            is_exhausted: false,
            is_paused: false,
            is_withdrawn: false,
            accepts: true,
            quiet: HashSet::new(),
            sockets: Vec::new(),
            served: Vec::new(),
        };
        self.workers.insert(id, player);
        id
    }

    fn player(&mut self, id: WorkerId) -> &mut Player {
        self.workers.get_mut(&id).unwrap()
    }

    fn query(address: usize) -> Query {
        let host = Some("127.0.0.1".into());
        Query::new(Target::Tcp { address: host, port: 8000 + address as u16 })
    }

    fn listen(&mut self, id: WorkerId, address: usize) {
        let is_member = |id: &ListenerId, worker| self.members.contains(&(*id, worker));
        let serves = self.listeners[address].is_some_and(|it| is_member(&it, id));
        if self.workers[&id].is_withdrawn || serves {
            return;
        }
        let query = Self::query(address);
        let listener = match self.core.plan(id, &query) {
            Plan::Join(listener) => {
                if self.core.need_of_socket(listener, id).is_some() {
                    self.add_socket(listener);
                }
                listener
            }
            Plan::Rebind(listener, address) => {
                self.core.rebind(listener, query, address);
                self.add_socket(listener);
                listener
            }
            Plan::Bind => {
                let distribution = self.core.new_distribution(&query.target, 1).unwrap();
                let delivery = Delivery::Distributed(Box::new(distribution));
                let listener = self.core.next_listener();
                self.core.insert_listener(listener, Listener::new(query, None, delivery));
                self.add_socket(listener);
                listener
            }
        };
        self.listeners[address] = Some(listener);
        let joining = Joining { id, seq: 1, is_http: true };
        self.core.join(joining, listener, None, self.now).unwrap();
        self.core.close_unserved(listener);
        self.members.insert((listener, id));
    }

    /// Binds a further socket, at which a task of the engine waits.
    fn add_socket(&mut self, listener: ListenerId) {
        let id = self.core.next_socket(listener).unwrap();
        let socket = MemorySocket::new(&self.clients);
        let notices = Rc::clone(&self.core.distribution(listener).unwrap().acceptors);
        let task = Acceptor {
            socket: Rc::clone(&socket),
            notices,
            waits_for: WaitsFor::Turn,
            is_listed: false,
        };
        self.acceptors.insert((listener, id), task);
        self.core.add_socket(listener, id, socket);
    }

    /// The engine's task at a socket gets a turn. Says whether it did something.
    fn run_acceptor(&mut self, listener: ListenerId, id: SocketId) -> bool {
        let Some(acceptor) = self.acceptors.get(&(listener, id)) else {
            return false;
        };
        let (socket, notices) = (Rc::clone(&acceptor.socket), Rc::clone(&acceptor.notices));
        if !socket.is_open.get() {
            self.acceptors.remove(&(listener, id));
            return false;
        }
        let waits = match acceptor.waits_for {
            WaitsFor::Turn => false,
            WaitsFor::Room(seen) => notices.room.get() == seen,
            WaitsFor::Connection(worker, seen) => {
                if notices.change.get() != seen {
                    false
                } else if socket.backlog() == 0 && socket.listens.get() {
                    true
                } else {
                    return self.look_after(listener, id, worker);
                }
            }
            WaitsFor::Emptied(worker, emptied, seen) => {
                let is_emptied =
                    self.workers.get(&worker).is_none_or(|it| it.lanes.emptied.get() != emptied);
                !is_emptied && notices.change.get() == seen
            }
        };
        if waits {
            return false;
        }
        if !socket.is_listening() {
            self.replace(listener, id);
            return true;
        }
        let waits_for = match self.core.acceptor(listener, id) {
            Some(worker) => WaitsFor::Connection(worker, notices.change.get()),
            None if !self.core.may_accept(listener) => WaitsFor::Room(notices.room.get()),
            None => WaitsFor::Turn,
        };
        if let Some(acceptor) = self.acceptors.get_mut(&(listener, id)) {
            acceptor.waits_for = waits_for;
        }
        match waits_for {
            WaitsFor::Turn => self.accept(listener, &socket),
            WaitsFor::Connection(..) => socket.backlog() > 0,
            _ => false,
        }
    }

    fn accept(&mut self, listener: ListenerId, socket: &MemorySocket) -> bool {
        let mut count = 0;
        while count < A_TURN && self.core.may_accept(listener) {
            let Some(client) = socket.accept() else {
                break;
            };
            self.core.accepted(listener, client, self.now);
            count += 1;
        }
        count > 0
    }

    /// Connections wait at the socket that this worker accepts from, or it listens no more.
    fn look_after(&mut self, listener: ListenerId, id: SocketId, worker: WorkerId) -> bool {
        let acceptor = self.acceptors.get_mut(&(listener, id)).unwrap();
        if !acceptor.socket.is_listening() {
            self.replace(listener, id);
            return true;
        }
        let seen = acceptor.notices.change.get();
        let emptied = self.workers.get(&worker).map_or(0, |it| it.lanes.emptied.get());
        acceptor.waits_for = WaitsFor::Emptied(worker, emptied, seen);
        self.core.begin_to_wait(worker, self.now);
        true
    }

    /// A socket listens no more: the worker that it was assigned to gets another.
    fn replace(&mut self, listener: ListenerId, id: SocketId) {
        let owner = self.core.remove_socket(listener, id);
        let acceptor = self.acceptors.remove(&(listener, id)).unwrap();
        acceptor.socket.is_open.set(false);
        if let Some(worker) = owner {
            self.assign_again(worker, listener);
        }
    }

    fn assign_again(&mut self, worker: WorkerId, listener: ListenerId) {
        if !self.core.lacks_socket(worker, listener) {
            return;
        }
        if self.core.need_of_socket(listener, worker).is_some() {
            self.add_socket(listener);
        }
        self.core.assign_again(worker, listener).unwrap();
    }

    fn connect(&mut self, address: usize) {
        let Some(listener) = self.listeners[address] else {
            return;
        };
        let Some(found) = self.core.listener(listener) else {
            return;
        };
        let sockets = &found.distribution().unwrap().sockets;
        let open = sockets.len();
        if open == 0 {
            return;
        }
        // The kernel picks a socket by chance.
        let chosen = sockets.iter().nth(self.random.below(open)).unwrap();
        let (id, socket) = (chosen.id(), Rc::clone(&chosen.socket));
        if socket.is_listening() && socket.backlog() < BACKLOG {
            socket.backlog.borrow_mut().push_back(self.clients.connect());
            self.list(listener, id);
        }
    }

    /// Something may wait at the socket.
    fn list(&mut self, listener: ListenerId, id: SocketId) {
        if let Some(acceptor) = self.acceptors.get_mut(&(listener, id))
            && !std::mem::replace(&mut acceptor.is_listed, true)
        {
            self.ready.push((listener, id));
        }
    }

    /// The worker takes a connection that it can serve from its queue. It returns those of servers that it
    /// has closed, which could not be taken back in time.
    fn take(&mut self, id: WorkerId) -> Option<(ListenerId, u32)> {
        loop {
            let (listener, client) = self.workers[&id].lanes.take()?;
            if self.members.contains(&(listener, id)) {
                return Some((listener, client));
            }
            self.give_back(id, listener, client);
        }
    }

    fn serve(&mut self, id: WorkerId) -> bool {
        let clients = Rc::clone(&self.clients);
        let from_queue = self.take(id);
        let player = self.player(id);
        let from_socket = || {
            let may_accept = player.accepts && !player.is_paused;
            let mut open =
                player.sockets.iter().filter(|(it, _)| may_accept && !player.quiet.contains(it));
            let client =
                open.find_map(|(id, it)| Some((*id, it.backlog.borrow_mut().pop_front()?)))?;
            Counts::add(&player.lanes.counts.accepted);
            Some(client)
        };
        let Some((listener, client)) = from_queue.or_else(from_socket) else {
            return false;
        };
        player.served.push((listener, client));
        clients.serve(client);
        true
    }

    fn hang(&mut self, id: WorkerId) {
        let player = self.player(id);
        if player.served.pop().is_some() {
            Counts::add(&player.lanes.counts.closed);
        }
    }

    /// It takes one from its queue, and returns it.
    fn take_and_return(&mut self, id: WorkerId) {
        let taken = self.workers[&id].lanes.take();
        if let Some((listener, client)) = taken {
            self.give_back(id, listener, client);
        }
    }

    fn give_back(&mut self, id: WorkerId, listener: ListenerId, number: u32) {
        Counts::add(&self.workers[&id].lanes.counts.closed);
        assert!(self.core.take_returned(id, listener), "it had the connection");
        if self.core.listener(listener).is_some() {
            self.clients.put(number, Place::Engine);
            let client = Client(number, Rc::clone(&self.clients));
            self.core.returned(id, listener, client, self.now + COOLDOWN, self.now);
            // As a worker at its `maxConnections`; one that has closed the server has no socket of it.
            if self.members.contains(&(listener, id)) {
                self.player(id).quiet.insert(listener);
            }
        } else {
            self.clients.put(number, Place::Closed);
        }
    }

    fn read(&mut self, id: WorkerId) {
        loop {
            let Some((message, socket)) = self.workers[&id].lanes.messages.borrow_mut().pop_front()
            else {
                return;
            };
            match message {
                ToWorker::Probe => self.core.answered(id, self.now),
                ToWorker::Pause => self.player(id).accepts = false,
                ToWorker::Resume => {
                    let player = self.player(id);
                    player.accepts = true;
                    player.quiet.clear();
                }
                ToWorker::Reply(reply) => {
                    assert_eq!(reply.errno, 0);
                    let is_own = matches!(reply.socket, Some(SocketKind::Own { .. }));
                    assert!(!is_own || self.scheduling == Scheduling::ReusePort);
                    self.own(id, reply.listener, socket);
                }
                ToWorker::Socket { listener, .. } => self.own(id, listener, socket),
                ToWorker::Closed { .. }
                | ToWorker::Drain(_)
                | ToWorker::Withhold
                | ToWorker::Admit
                | ToWorker::TicketKeys { .. } => {}
            }
        }
    }

    fn own(&mut self, id: WorkerId, listener: ListenerId, socket: Option<Rc<MemorySocket>>) {
        if self.members.contains(&(listener, id)) {
            self.player(id).sockets.extend(socket.map(|socket| (listener, socket)));
        }
    }

    /// The worker ends listening at its own socket of the address, and reports it or not.
    fn spoil(&mut self, id: WorkerId, address: usize, reports: bool) {
        let Some(listener) = self.listeners[address] else {
            return;
        };
        let player = self.player(id);
        let Some(at) = player.sockets.iter().position(|(it, _)| *it == listener) else {
            return;
        };
        let (_, socket) = player.sockets.remove(at);
        socket.shut();
        if reports && self.core.lose_socket(id, listener) {
            self.assign_again(id, listener);
        }
        let tasks = self.acceptors.iter().filter(|(_, it)| Rc::ptr_eq(&it.socket, &socket));
        let tasks: Vec<_> = tasks.map(|(task, _)| *task).collect();
        tasks.into_iter().for_each(|(listener, socket)| self.list(listener, socket));
    }

    /// The worker is no member of such listeners any more.
    fn left(&mut self, gone: impl Fn(ListenerId, WorkerId) -> bool) {
        self.members.retain(|&(listener, worker)| !gone(listener, worker));
        for listener in &mut self.listeners {
            listener.take_if(|id| self.core.listener(*id).is_none());
        }
    }

    fn see_room(&mut self, id: WorkerId) -> bool {
        let lanes = &self.workers[&id].lanes;
        let sees = lanes.is_full.get() && lanes.queued() < memory::QUEUE;
        if sees {
            lanes.is_full.set(false);
            self.core.queue_has_room(id, self.now);
        }
        sees
    }

    fn die(&mut self, id: WorkerId, has_unread: bool) {
        if has_unread {
            self.core.expect_returns(id);
            self.unread.push(id);
        }
        drop(self.core.remove_worker(id, self.now));
        self.workers.remove(&id);
        self.left(|_, worker| worker == id);
    }

    /// Time passes, and all that is due happens in its order.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.core.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.core.expire(self.now);
        }
        self.now = end;
    }

    /// A few tasks at sockets where something may wait get a turn.
    fn accept_some(&mut self) {
        self.run_parked();
        for _ in 0..8 {
            if self.ready.is_empty() {
                return;
            }
            let at = self.random.below(self.ready.len());
            let (listener, id) = self.ready.swap_remove(at);
            self.run_acceptor(listener, id);
            if let Some(acceptor) = self.acceptors.get_mut(&(listener, id)) {
                acceptor.is_listed = false;
                if acceptor.socket.backlog() > 0 {
                    self.list(listener, id);
                }
            }
        }
    }

    fn step(&mut self, id: WorkerId, step: Step) {
        let player = &self.workers[&id];
        let (is_blocked, is_withdrawn) = (player.is_blocked, player.is_withdrawn);
        match step {
            Step::Listen(address) if !is_blocked => self.listen(id, address),
            Step::Close(address) if !is_blocked => {
                if let Some(listener) = self.listeners[address] {
                    let player = self.player(id);
                    player.sockets.retain(|(it, _)| *it != listener);
                    player.quiet.remove(&listener);
                    self.core.close(id, listener, self.now).unwrap();
                    self.left(|it, worker| (it, worker) == (listener, id));
                }
            }
            Step::Serve(count) if !is_blocked && !player.is_exhausted => {
                let _ = (0..count).take_while(|_| self.serve(id)).count();
            }
            Step::Return if !is_blocked => self.take_and_return(id),
            Step::Hang if !is_blocked => self.hang(id),
            Step::Read if !is_blocked => self.read(id),
            Step::Block => self.player(id).is_blocked = true,
            Step::Unblock => {
                self.player(id).is_blocked = false;
                self.read(id);
            }
            Step::Pause => {
                self.player(id).is_paused = true;
                self.core.pause(id, self.now);
            }
            Step::Resume => {
                self.player(id).is_paused = false;
                self.core.resume(id, self.now);
            }
            Step::Exhaust if !is_blocked => self.report(id, true),
            Step::Recover if !is_blocked => self.report(id, false),
            Step::Spoil(address, reports) if !is_blocked => self.spoil(id, address, reports),
            Step::SeeRoom => drop(self.see_room(id)),
            Step::Shortage(has) => player.lanes.has_shortage.set(has),
            Step::AnswerUnasked => {
                let messages = player.lanes.messages.borrow();
                let is_asked = messages.iter().any(|(it, _)| *it == ToWorker::Probe);
                drop(messages);
                if !is_asked {
                    self.core.answered(id, self.now);
                }
            }
            Step::Withdraw if !is_withdrawn => {
                self.core.withdraw(id, self.now);
                self.has_withdrawn(id);
            }
            Step::Drain(hands_over) => self.drain(id, hands_over),
            Step::Park(left) if !is_blocked => self.park(id, left),
            Step::Speak => self.speak(3),
            Step::Die(has_unread) => self.die(id, has_unread),
            Step::Fork => drop(self.fork()),
            Step::Connect(address, count) => (0..count).for_each(|_| self.connect(address)),
            Step::Accept => self.accept_some(),
            Step::Pass(millis) => self.pass(Duration::from_millis(millis)),
            _ => {}
        }
    }

    fn has_withdrawn(&mut self, id: WorkerId) {
        let player = self.player(id);
        player.is_withdrawn = true;
        player.sockets.clear();
        self.left(|_, worker| worker == id);
    }

    fn report(&mut self, id: WorkerId, is_exhausted: bool) {
        self.player(id).is_exhausted = is_exhausted;
        self.core.report_descriptors(id, is_exhausted, self.now);
    }

    /// Plays steps, and checks after each that no client is lost, and no worker is kept back without a reason.
    fn play(&mut self, steps: Vec<(usize, Step)>) {
        self.play_each(steps, |simulation| {
            simulation.check_places();
            simulation.check_reasons();
        });
    }

    /// Plays steps, each of one of the workers that there are then, and checks after each.
    fn play_each(&mut self, steps: Vec<(usize, Step)>, check: impl Fn(&Self)) {
        for (worker, step) in steps {
            let ids: Vec<_> = self.workers.keys().copied().collect();
            let Some(id) = ids.get(worker % ids.len().max(1)) else {
                break;
            };
            self.step(*id, step);
            check(self);
        }
    }
}

fn policies() -> impl Strategy<Value = Scheduling> {
    prop_oneof![
        Just(Scheduling::RoundRobin),
        Just(Scheduling::LeastConnections),
        Just(Scheduling::SourceHash),
        Just(Scheduling::ReusePort),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let address = || 0..ADDRESSES;
    prop_oneof![
        4 => address().prop_map(Step::Listen),
        1 => address().prop_map(Step::Close),
        6 => (1..20usize).prop_map(Step::Serve),
        2 => Just(Step::Return),
        2 => Just(Step::Hang),
        4 => Just(Step::Read),
        2 => Just(Step::Block),
        3 => Just(Step::Unblock),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Exhaust),
        2 => Just(Step::Recover),
        1 => (address(), any::<bool>()).prop_map(|(address, tells)| Step::Spoil(address, tells)),
        3 => Just(Step::SeeRoom),
        1 => any::<bool>().prop_map(Step::Shortage),
        1 => Just(Step::AnswerUnasked),
        1 => Just(Step::Withdraw),
        2 => any::<bool>().prop_map(Step::Drain),
        8 => prop::option::of(1..50u64).prop_map(Step::Park),
        4 => Just(Step::Speak),
        1 => any::<bool>().prop_map(Step::Die),
        2 => Just(Step::Fork),
        8 => (address(), 1..40usize).prop_map(|(address, count)| Step::Connect(address, count)),
        6 => Just(Step::Accept),
        4 => (1..20u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn whatever_workers_do_each_client_is_served_once(
        scheduling in policies(),
        steps in prop::collection::vec((0..8usize, steps()), 1..150),
    ) {
        let mut simulation = Simulation::new(scheduling);
        for _ in 0..3 {
            let id = simulation.fork();
            simulation.listen(id, 0);
        }
        simulation.play(steps);
        simulation.settle();
    }
}

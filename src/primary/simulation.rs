//! The engine's state with real lanes, and workers that the test plays in its own thread: whatever
//! they do, each connection is in one place at any time, and served once.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::{IpAddr, Ipv4Addr, UdpSocket},
    os::fd::OwnedFd,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::{Builder, Runtime},
    sync::Notify,
};

use super::{
    engine::{Scheduling, Settings},
    listener::{Distribution, Listener, Socket},
    state::State,
    stats::Counters,
    worker::Worker,
};
use crate::{
    protocol::{
        ListenerId, WorkerId, connection,
        control::{self, MAX_PACKET, Query, Target, ToWorker},
    },
    scheduler::simulation::Random,
    sys::{
        lane,
        reserve::Reserve,
        ring::{self, Ring, Side, Tally},
        socket, watched,
    },
};

/// How long connections wait for the next worker: for ever, here.
const HOLD: Duration = Duration::from_secs(3600);

/// A worker, as the test plays it.
struct Player {
    control: OwnedFd,
    connections: OwnedFd,
    tally: Tally,
    open: usize,
    /// Its descriptors in the engine's task of it, which the test plays as well.
    lane: Rc<AsyncFd<OwnedFd>>,
    filled: Rc<Notify>,
    awaits_room: bool,
}

/// What happens at a worker. Addresses are numbers.
#[derive(Debug, Clone, Copy)]
enum Step {
    Listen(usize),
    Close(usize),
    /// It takes so many connections, and serves them.
    Serve(usize),
    /// It takes one, and returns it.
    Return,
    /// A client of its own goes away.
    Hang,
    Pause,
    Resume,
    /// It has no descriptors left.
    Exhaust,
    /// It may have some again.
    Recover,
    /// For long enough to be seen, its event loop does not turn, while those of all others do.
    Stick,
    /// Its event loop turns, and answers probes.
    Answer,
    /// The engine's task of it sees room in its lane, if there is.
    Drain,
    Retire,
    /// Perhaps with a connection returned that the engine has not seen yet.
    Die(bool),
    /// Elsewhere: another worker.
    Fork,
    /// So many connections to an address, unless the engine does not accept.
    Connect(usize, usize),
    /// The first rest of a worker that returned a connection is over.
    Rest,
    Patrol,
}

struct Simulation {
    state: State,
    counters: Arc<Counters>,
    scheduling: Scheduling,
    workers: BTreeMap<WorkerId, Player>,
    forked: WorkerId,
    retired: HashSet<WorkerId>,
    /// By address.
    listeners: [Option<ListenerId>; 2],
    members: HashSet<(ListenerId, WorkerId)>,
    rests: VecDeque<(WorkerId, ListenerId)>,
    /// Connections that are with no server.
    clients: Vec<OwnedFd>,
    connected: u32,
    /// Those that the engine accepted and nobody has served.
    accepted: HashMap<IpAddr, ListenerId>,
    served: usize,
    now: Instant,
    // Last, as it is dropped last.
    runtime: Runtime,
}

impl Simulation {
    fn new(scheduling: Scheduling) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let settings = Settings { scheduling, story: false };
        let counters = Arc::default();
        Self {
            state: State::new(
                settings,
                Arc::new(|event| panic!("{event:?}")),
                Reserve::default(),
                Arc::clone(&counters),
            ),
            counters,
            scheduling,
            workers: BTreeMap::new(),
            forked: 0,
            retired: HashSet::new(),
            listeners: [None; 2],
            members: HashSet::new(),
            rests: VecDeque::new(),
            clients: Vec::new(),
            connected: 0,
            accepted: HashMap::new(),
            served: 0,
            now: Instant::now(),
            runtime,
        }
    }

    fn fork(&mut self) -> WorkerId {
        let _context = self.runtime.enter();
        let (control, their_control) = lane::packet_pair().unwrap();
        let (lane, connections) = lane::packet_pair().unwrap();
        lane::limit_send_buffer(&lane, 4096).unwrap();
        let control =
            watched::watch(control, Interest::READABLE | Interest::WRITABLE).ok().unwrap();
        let lane = Rc::new(watched::watch(lane, Interest::WRITABLE).ok().unwrap());
        let tally = Ring::map(ring::create().unwrap(), Side::Primary).unwrap().tally;
        let filled = Rc::new(Notify::new());
        let worker = Worker::new(
            // Of nobody, so that the machine's load has no say.
            -1,
            Rc::new(control),
            Rc::clone(&lane),
            connections.try_clone().unwrap(),
            tally.clone(),
            Rc::clone(&filled),
            HOLD,
        );
        self.forked += 1;
        self.state.adopt(self.forked, worker);
        let player = Player {
            control: their_control,
            connections,
            tally,
            open: 0,
            lane,
            filled,
            awaits_room: false,
        };
        self.workers.insert(self.forked, player);
        self.forked
    }

    fn listen(&mut self, id: WorkerId, address: usize) {
        if self.retired.contains(&id) {
            return;
        }
        let listener = self.listeners[address].unwrap_or_else(|| self.bind(address));
        if self.members.insert((listener, id)) {
            self.state.join(id, 1, listener, None).unwrap();
        }
    }

    fn bind(&mut self, address: usize) -> ListenerId {
        let listener = self.state.next_listener();
        let distribution = Distribution::new(self.scheduling.policy().unwrap(), false);
        let query = Query::new(Target::Tcp { address: None, port: address as u16 });
        let socket = Socket::Distributed(Box::new(distribution));
        self.state.insert(listener, Listener::new(query, None, socket));
        self.listeners[address] = Some(listener);
        listener
    }

    fn left(&mut self, gone: impl Fn(ListenerId, WorkerId) -> bool) {
        self.members.retain(|&(listener, worker)| !gone(listener, worker));
        for place in &mut self.listeners {
            let is_served = |id| self.members.iter().any(|&(listener, _)| listener == id);
            let is_held = |id| self.accepted.values().any(|&listener| listener == id);
            place.take_if(|id| !is_served(*id) && !is_held(*id));
        }
    }

    fn connect(&mut self, address: usize) {
        let Some(listener) = self.listeners[address] else {
            return;
        };
        if !self.state.may_accept(listener) {
            return;
        }
        let client = self.clients.pop().unwrap_or_else(|| {
            self.connected += 1;
            client(self.connected)
        });
        let source = socket::source(&client).unwrap();
        assert_eq!(self.accepted.insert(source, listener), None);
        self.state.accepted(listener, client);
    }

    fn take(&mut self, id: WorkerId) -> Option<(ListenerId, OwnedFd)> {
        let mut buffer = [0; connection::PACKET];
        let packet =
            lane::receive_fixed_packet(&self.workers[&id].connections, &mut buffer).ok()?;
        self.workers[&id].tally.add_taken();
        let listener = connection::decode(&buffer).unwrap();
        assert!(self.members.contains(&(listener, id)), "only members get connections");
        Some((listener, packet.descriptor.unwrap()))
    }

    fn serve(&mut self, id: WorkerId) -> bool {
        let Some((listener, client)) = self.take(id) else {
            return false;
        };
        let source = socket::source(&client).unwrap();
        assert_eq!(self.accepted.remove(&source), Some(listener), "served once");
        self.player(id).open += 1;
        self.served += 1;
        self.clients.push(client);
        true
    }

    fn give_back(&mut self, id: WorkerId) -> Option<ListenerId> {
        let (listener, client) = self.take(id)?;
        self.player(id).tally.add_closed();
        self.state.returned(id, listener, client, self.now);
        Some(listener)
    }

    fn rest(&mut self) -> bool {
        let rest = self.rests.pop_front();
        rest.map(|(id, listener)| self.state.rested(id, listener, self.now)).is_some()
    }

    fn patrol(&mut self) {
        self.now += Duration::from_millis(10);
        self.state.patrol(self.now);
    }

    fn answer(&mut self, id: WorkerId) {
        loop {
            let packet = lane::receive_whole_packet(&self.workers[&id].control, MAX_PACKET);
            let Ok(packet) = packet else {
                return;
            };
            if control::decode::<ToWorker>(&packet.bytes, packet.length).unwrap() == ToWorker::Probe
            {
                self.state.alive(id);
            }
            self.state.flush_orders(id);
        }
    }

    fn drain(&mut self, id: WorkerId) -> bool {
        let player = self.player(id);
        player.awaits_room |= pin!(player.filled.notified()).enable();
        let mut room = [PollFd::new(player.lane.get_ref(), PollFlags::OUT)];
        let has_room = poll(&mut room, Some(&Timespec::default())).unwrap() == 1;
        let is_drained = has_room && std::mem::replace(&mut player.awaits_room, !has_room);
        if is_drained {
            self.state.drained(id);
        }
        is_drained
    }

    fn player(&mut self, id: WorkerId) -> &mut Player {
        self.workers.get_mut(&id).unwrap()
    }

    fn step(&mut self, id: WorkerId, step: Step) {
        match step {
            Step::Listen(address) => self.listen(id, address),
            Step::Close(address) => {
                if let Some(listener) = self.listeners[address] {
                    self.state.close(id, listener);
                    self.left(|left, worker| (left, worker) == (listener, id));
                }
            }
            Step::Serve(count) => drop((0..count).take_while(|_| self.serve(id)).count()),
            Step::Return => {
                let listener = self.give_back(id);
                self.rests.extend(listener.map(|listener| (id, listener)));
            }
            Step::Hang => {
                let player = self.player(id);
                if player.open > 0 {
                    player.open -= 1;
                    player.tally.add_closed();
                }
            }
            Step::Pause => self.state.pause(id),
            Step::Exhaust => self.state.exhausted(id),
            Step::Recover => self.state.recovered(id),
            Step::Resume => self.state.resume(id),
            Step::Stick => {
                let others: Vec<_> = self.workers.keys().copied().filter(|it| *it != id).collect();
                for _ in 0..4 {
                    for &other in &others {
                        while self.serve(other) {}
                        self.answer(other);
                    }
                    self.patrol();
                }
                others.into_iter().for_each(|other| self.answer(other));
            }
            Step::Answer => self.answer(id),
            Step::Drain => drop(self.drain(id)),
            Step::Retire => {
                self.state.retire(id);
                self.retired.insert(id);
                self.left(|_, worker| worker == id);
            }
            Step::Die(returns) => {
                if returns {
                    self.give_back(id);
                }
                self.workers.remove(&id);
                drop(self.state.remove(id));
                self.left(|_, worker| worker == id);
            }
            Step::Fork => drop(self.fork()),
            Step::Connect(address, count) => (0..count).for_each(|_| self.connect(address)),
            Step::Rest => drop(self.rest()),
            Step::Patrol => self.patrol(),
        }
    }

    /// What the engine has is what was accepted and has not been served.
    fn check(&self) {
        let stats = self.counters.stats();
        let pending: usize = stats.listeners.iter().map(|listener| listener.waiting).sum();
        let queued: usize = stats.workers.iter().map(|worker| worker.waiting).sum();
        assert_eq!(pending + queued, self.accepted.len(), "none lost, and none twice");
    }

    /// Nothing keeps workers from serving any more, so that all is served.
    fn settle(&mut self) {
        // Those that the last worker of an address has left wait for another.
        let next = self.fork();
        (0..self.listeners.len()).for_each(|address| self.listen(next, address));
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for &id in &workers {
            self.state.resume(id);
            self.state.recovered(id);
        }
        loop {
            let mut goes_on = self.rest();
            for &id in &workers {
                self.answer(id);
                goes_on |= self.serve(id);
                goes_on |= self.drain(id);
            }
            if !goes_on {
                break;
            }
        }
        self.check();
        assert_eq!(self.accepted, HashMap::new(), "all are served in the end");
        if self.scheduling != Scheduling::SourceHash {
            (0..self.listeners.len()).for_each(|address| self.check_turns(address));
        }
    }

    /// Nobody is forgotten: among workers that have nothing, turns are exact.
    fn check_turns(&mut self, address: usize) {
        for player in self.workers.values_mut() {
            (0..std::mem::take(&mut player.open)).for_each(|_| player.tally.add_closed());
        }
        let listener = self.listeners[address];
        let members: Vec<_> =
            self.members.iter().filter(|member| Some(member.0) == listener).copied().collect();
        members.iter().for_each(|_| self.connect(address));
        for (_, id) in members {
            assert!(self.serve(id) && !self.serve(id), "worker {id} gets one");
        }
    }
}

/// A connection of its own address: no more than its peer's name is needed.
fn client(number: u32) -> OwnedFd {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect((Ipv4Addr::from_bits(0x7f01_0000 + number), 9)).unwrap();
    client.into()
}

/// Has this process open as many descriptors as it may, and says how many.
fn raise_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |maximum| maximum as usize)
}

fn policies() -> impl Strategy<Value = Scheduling> {
    prop_oneof![
        Just(Scheduling::RoundRobin),
        Just(Scheduling::LeastConnections),
        Just(Scheduling::SourceHash),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let address = || 0..2usize;
    prop_oneof![
        4 => address().prop_map(Step::Listen),
        1 => address().prop_map(Step::Close),
        6 => (1..20usize).prop_map(Step::Serve),
        2 => Just(Step::Return),
        2 => Just(Step::Hang),
        1 => Just(Step::Pause),
        1 => Just(Step::Exhaust),
        2 => Just(Step::Recover),
        2 => Just(Step::Resume),
        2 => Just(Step::Stick),
        2 => Just(Step::Answer),
        3 => Just(Step::Drain),
        1 => Just(Step::Retire),
        1 => any::<bool>().prop_map(Step::Die),
        2 => Just(Step::Fork),
        8 => (address(), 1..40usize).prop_map(|(address, count)| Step::Connect(address, count)),
        2 => Just(Step::Rest),
        2 => Just(Step::Patrol),
    ]
}

proptest! {
    #[test]
    fn whatever_workers_do_each_connection_is_served_once(
        scheduling in policies(),
        steps in prop::collection::vec((0..8usize, steps()), 1..100),
    ) {
        raise_limit();
        let mut simulation = Simulation::new(scheduling);
        for _ in 0..3 {
            let id = simulation.fork();
            simulation.listen(id, 0);
        }
        for (worker, step) in steps {
            let ids: Vec<_> = simulation.workers.keys().copied().collect();
            let Some(id) = ids.get(worker % ids.len().max(1)) else {
                break;
            };
            simulation.step(*id, step);
            simulation.check();
        }
        simulation.settle();
    }
}

#[test]
fn a_rest_does_not_end_with_an_earlier_one() {
    let mut simulation = Simulation::new(Scheduling::RoundRobin);
    let id = simulation.fork();
    simulation.listen(id, 0);
    (0..2).for_each(|_| simulation.connect(0));
    let start = simulation.now;
    let ends = [10, 19].map(|millis| start + Duration::from_millis(millis));
    let returned = [simulation.take(id).unwrap(), simulation.take(id).unwrap()];
    for ((listener, client), end) in returned.into_iter().zip(ends) {
        simulation.state.returned(id, listener, client, end);
    }
    let listener = simulation.listeners[0].unwrap();
    simulation.state.rested(id, listener, ends[0]);
    assert!(!simulation.serve(id), "the second rest goes on");
    simulation.state.rested(id, listener, ends[1]);
    assert!(simulation.serve(id) && simulation.serve(id));
}

/// Connections served by many workers.
const MANY: usize = 50_000;

/// A thousand workers, if this process may have so many descriptors, and 8 connections of each: when
/// they have been served, they connect again.
fn serve_at_many_workers(scheduling: Scheduling) {
    // Each takes 13 of them; other tests need some as well.
    let workers = (raise_limit() / 18).min(1000);
    let mut simulation = Simulation::new(scheduling);
    let mut ids: Vec<_> = (0..workers).map(|_| simulation.fork()).collect();
    ids.iter().for_each(|&id| simulation.listen(id, 0));
    simulation.clients.extend((1..=8 * workers as u32).map(client));
    let mut random = Random::new();
    while simulation.served < MANY {
        while !simulation.clients.is_empty() && random.below(40) != 0 {
            simulation.connect(0);
        }
        for _ in 0..50 {
            let id = ids[random.below(workers)];
            simulation.step(id, Step::Serve(1));
            simulation.step(id, Step::Drain);
        }
        let chosen = random.below(workers);
        let id = ids[chosen];
        match random.below(100) {
            0 => simulation.step(id, Step::Patrol),
            1..3 => simulation.step(id, Step::Retire),
            3..5 => {
                simulation.step(id, Step::Die(true));
                ids[chosen] = simulation.fork();
                simulation.listen(ids[chosen], 0);
            }
            5..10 => simulation.step(id, Step::Pause),
            10..15 => simulation.step(id, Step::Return),
            15..20 => simulation.step(id, Step::Rest),
            20..40 => simulation.step(id, Step::Resume),
            40..60 => simulation.step(id, Step::Answer),
            60 => simulation.check(),
            _ => {}
        }
    }
    simulation.settle();
}

#[test]
fn a_thousand_workers_serve_each_connection_once() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::LeastConnections] {
        serve_at_many_workers(scheduling);
    }
}

#[test]
fn ids_of_listeners_begin_anew_after_the_last_one_and_none_is_given_twice() {
    let mut simulation = Simulation::new(Scheduling::RoundRobin);
    let worker = simulation.fork();
    simulation.listen(worker, 0);
    simulation.connect(0);
    assert_eq!(simulation.listeners[0], Some(1));
    simulation.state.skip_listeners(u64::from(ListenerId::MAX) - 2);
    let last = simulation.state.next_listener();
    assert_eq!((last, simulation.state.next_listener()), (ListenerId::MAX, 2));
    // The worker has a connection of a listener that is closed.
    assert!(simulation.serve(worker));
    simulation.step(worker, Step::Close(0));
    simulation.state.skip_listeners(u64::from(ListenerId::MAX) - 2);
    assert_eq!(simulation.state.next_listener(), 2);
}

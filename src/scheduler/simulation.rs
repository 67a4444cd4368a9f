//! A thousand workers and a million connections, without a descriptor: what decisions cost, and how
//! fair they are. `primary::simulation` does the same with the engine.

use core::net::{IpAddr, Ipv4Addr};
use std::{cell::Cell, collections::VecDeque};

use super::{
    LeastConnections, Policy, RoundRobin, Situation, SourceHash, hash_ring::PROBES,
    rotation::COMPARED,
};
use crate::protocol::WorkerId;

const WORKERS: usize = 1000;
const CONNECTIONS: usize = 1_000_000;

/// How many connections a hand-off queue has room for.
const ROOM: usize = 12;

/// Xorshift (Marsaglia, 2003): the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self::seeded(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        // The state 0 has no successor.
        Self(seed.max(1))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % end
    }
}

#[derive(Default)]
struct Worker {
    is_member: bool,
    is_stalled: bool,
    is_resting: bool,
    /// Connections that the worker has not taken.
    lane: VecDeque<usize>,
    /// Others that wait.
    waiting: usize,
    open: usize,
}

impl Worker {
    fn takes(&self) -> bool {
        self.is_member && !self.is_stalled && !self.is_resting && self.lane.len() < ROOM
    }
}

/// What the policy sees, and how often it queries.
struct View<'a> {
    workers: &'a [Worker],
    source: Option<IpAddr>,
    questions: &'a Cell<usize>,
}

impl View<'_> {
    fn ask(&self, id: WorkerId, load: impl Fn(&Worker) -> usize) -> Option<usize> {
        self.questions.set(self.questions.get() + 1);
        let worker = &self.workers[id as usize];
        assert!(worker.is_member, "only members are asked");
        worker.takes().then(|| load(worker))
    }
}

impl Situation for View<'_> {
    fn waiting(&self, worker: WorkerId) -> Option<usize> {
        self.ask(worker, |worker| worker.lane.len() + worker.waiting)
    }

    fn open(&self, worker: WorkerId) -> Option<usize> {
        self.ask(worker, |worker| worker.open)
    }

    fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

/// The engine, as far as it matters to a policy.
struct Cluster<P> {
    policy: P,
    workers: Vec<Worker>,
    pending: VecDeque<usize>,
    /// How often each connection has been served.
    served: Vec<u8>,
    /// Whether connections come from addresses.
    sources: bool,
    random: Random,
    questions: Cell<usize>,
    decisions: usize,
    /// How often a worker has joined, or was restored.
    returns: usize,
}

impl<P: Policy + Default> Cluster<P> {
    fn new() -> Self {
        let mut cluster = Self {
            policy: P::default(),
            workers: (0..WORKERS).map(|_| Worker::default()).collect(),
            pending: VecDeque::new(),
            served: vec![0; CONNECTIONS],
            sources: true,
            random: Random::new(),
            questions: Cell::new(0),
            decisions: 0,
            returns: 0,
        };
        (0..WORKERS).for_each(|worker| cluster.join(worker));
        cluster
    }

    fn join(&mut self, id: usize) {
        if !self.workers[id].is_member {
            self.workers[id] = Worker { is_member: true, ..Worker::default() };
            self.policy.join(id as WorkerId);
            self.returns += 1;
        }
    }

    fn leave(&mut self, id: usize) {
        if self.workers[id].is_member {
            self.workers[id].is_member = false;
            assert!(self.policy.leave(id as WorkerId));
            self.take_back(id);
        }
    }

    fn stall(&mut self, id: usize) {
        self.workers[id].is_stalled = true;
        self.take_back(id);
    }

    fn take_back(&mut self, id: usize) {
        let worker = &mut self.workers[id];
        worker.open -= worker.lane.len();
        self.pending.append(&mut worker.lane);
        self.pump();
    }

    /// The worker gives the first connection back.
    fn give_back(&mut self, id: usize) {
        let worker = &mut self.workers[id];
        if let Some(connection) = worker.lane.pop_front() {
            worker.open -= 1;
            worker.is_resting = true;
            self.pending.push_back(connection);
            self.pump();
        }
    }

    /// From now on only a full hand-off queue keeps the worker from taking connections.
    fn recover(&mut self, id: usize) {
        let worker = &mut self.workers[id];
        worker.is_resting = false;
        worker.is_stalled = false;
        self.restore(id);
    }

    fn restore(&mut self, id: usize) {
        self.policy.restore(id as WorkerId);
        self.returns += 1;
        self.pump();
    }

    /// The worker takes a connection from its hand-off queue, if it is not stalled.
    fn serve(&mut self, id: usize) {
        let worker = &mut self.workers[id];
        if worker.is_stalled {
            return;
        }
        let was_full = worker.lane.len() == ROOM;
        if let Some(connection) = worker.lane.pop_front() {
            // Some stay open.
            worker.open = worker.open.min(worker.lane.len() + 8);
            self.served[connection] += 1;
        }
        if was_full {
            self.restore(id);
        }
    }

    fn accept(&mut self, connection: usize) {
        self.pending.push_back(connection);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(&connection) = self.pending.front() {
            let Some(worker) = self.choose(connection) else {
                return;
            };
            self.workers[worker].lane.push_back(connection);
            self.workers[worker].open += 1;
            self.pending.pop_front();
        }
    }

    fn choose(&mut self, connection: usize) -> Option<usize> {
        let Self { policy, workers, questions, .. } = self;
        let address = Ipv4Addr::from_bits(connection as u32 + 0x0a00_0000);
        let source = self.sources.then_some(address.into());
        self.decisions += 1;
        let chosen = policy.choose(&View { workers, source, questions })? as usize;
        assert!(workers[chosen].takes());
        Some(chosen)
    }
}

/// Every worker takes what it has as soon as it is given.
fn serve_at_once(cluster: &mut Cluster<impl Policy + Default>, connections: usize) -> Vec<usize> {
    let mut served = vec![0; WORKERS];
    for connection in 0..connections {
        served[cluster.choose(connection).unwrap()] += 1;
    }
    served
}

/// Workers are busy, get full, stall, give back, leave and join.
fn serve_in_turmoil(cluster: &mut Cluster<impl Policy + Default>) {
    for connection in 0..CONNECTIONS {
        // Now and then they are too slow for what comes.
        let turns = if connection / 20_000 % 4 == 0 { 1 } else { 2 };
        for _ in 0..turns {
            let worker = cluster.random.below(WORKERS);
            cluster.serve(worker);
        }
        while !cluster.pending.is_empty() {
            let worker = cluster.random.below(WORKERS);
            cluster.serve(worker);
        }
        cluster.accept(connection);
        let worker = cluster.random.below(WORKERS);
        match cluster.random.below(1000) {
            0 => cluster.leave(worker),
            1..5 => cluster.join(worker),
            5..10 => cluster.stall(worker),
            10..20 => cluster.give_back(worker),
            20..50 => cluster.recover(worker),
            _ => {}
        }
    }
    for worker in 0..WORKERS {
        cluster.join(worker);
        cluster.recover(worker);
    }
    for worker in 0..WORKERS {
        (0..ROOM).for_each(|_| cluster.serve(worker));
    }
}

/// All connections are served, with this many queries a decision, and no worker is forgotten.
fn check_turmoil<P: Policy + Default>(questions: usize) {
    let mut cluster = Cluster::<P>::new();
    serve_in_turmoil(&mut cluster);
    assert!(cluster.served.iter().all(|&times| times == 1), "each is served, and once");
    let allowed = cluster.decisions * questions + cluster.returns;
    assert!(cluster.questions.get() <= allowed, "{} of {allowed}", cluster.questions.get());
    cluster.sources = false;
    cluster.workers.iter_mut().for_each(|worker| worker.open = 0);
    assert_eq!(serve_at_once(&mut cluster, 3 * WORKERS), [3; WORKERS], "turns are exact again");
}

#[test]
fn round_robin_in_turmoil_loses_nothing_and_asks_few() {
    check_turmoil::<RoundRobin>(COMPARED);
}

#[test]
fn least_connections_in_turmoil_loses_nothing_and_asks_few() {
    check_turmoil::<LeastConnections>(COMPARED);
}

#[test]
fn source_hash_in_turmoil_loses_nothing_and_asks_few() {
    check_turmoil::<SourceHash>(PROBES + COMPARED);
}

#[test]
fn turns_are_exact_and_cost_one_question_each() {
    let mut cluster = Cluster::<RoundRobin>::new();
    let served = serve_at_once(&mut cluster, CONNECTIONS);
    assert_eq!(served, [CONNECTIONS / WORKERS; WORKERS]);
    assert_eq!(cluster.questions.get(), CONNECTIONS);
}

#[test]
fn shares_of_addresses_are_even() {
    let mut cluster = Cluster::<SourceHash>::new();
    for served in serve_at_once(&mut cluster, CONNECTIONS) {
        assert!((750..1250).contains(&served), "{served} of 1000");
    }
    assert_eq!(cluster.questions.get(), CONNECTIONS);
}

/// Each connection stays for a random time, so that each worker has `mean` of them on average.
fn check_level<P: Policy + Default>(mean: usize, load: fn(&mut Worker) -> &mut usize) {
    let mut cluster = Cluster::<P>::new();
    let mut staying = Vec::new();
    for connection in 0..CONNECTIONS {
        let worker = cluster.choose(connection).unwrap();
        *load(&mut cluster.workers[worker]) += 1;
        staying.push(worker);
        if staying.len() > mean * WORKERS {
            let ended = cluster.random.below(staying.len());
            *load(&mut cluster.workers[staying.swap_remove(ended)]) -= 1;
        }
    }
    let loads: Vec<_> = cluster.workers.iter_mut().map(|worker| *load(worker)).collect();
    let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
    assert!(most - least <= 10 && most - mean <= 5, "{least} to {most} of {mean}");
    assert!(cluster.questions.get() <= CONNECTIONS * COMPARED);
}

#[test]
fn connections_waiting_at_busy_workers_are_level() {
    check_level::<RoundRobin>(6, |worker| &mut worker.waiting);
}

#[test]
fn open_connections_are_level() {
    check_level::<LeastConnections>(50, |worker| &mut worker.open);
}

//! Workers that drain, and the clients that they leave.

use super::{super::drain::DrainOptions, *};

impl Simulation {
    /// The worker drains. Its deadlines are longer than any simulation.
    pub(super) fn drain(&mut self, id: WorkerId, hands_over: bool) {
        let (timeout, kill_timeout) = (QUEUE_TIMEOUT, QUEUE_TIMEOUT);
        let options =
            DrainOptions { timeout, kill_timeout, reason: None, hands_over, keeps_queue: false };
        self.core.drain(id, options, self.now);
        self.has_withdrawn(id);
    }

    /// The worker leaves one of its own clients to the engine, if it may.
    pub(super) fn park(&mut self, id: WorkerId, left: Option<u64>) {
        let Some(&(listener, client)) = self.workers[&id].served.last() else {
            return;
        };
        if !self.core.may_park(id, listener) {
            return;
        }
        self.hang(id);
        assert!(self.core.take_returned(id, listener), "worker {id} was given client {client}");
        self.clients.put(client, Place::Engine);
        let client = Client(client, Rc::clone(&self.clients));
        let left = left.map(Duration::from_millis);
        self.core.park(id, listener, client, left, self.random.below(8) > 0, self.now);
    }

    /// A few parked clients send something.
    pub(super) fn speak(&mut self, count: usize) {
        for notices in self.notices() {
            let watched = notices.1.watched.borrow();
            let ended = self.clients.ended.borrow();
            let silent = watched.values().filter(|client| !ended.contains(client));
            self.clients.spoken.borrow_mut().extend(silent.take(count));
        }
    }

    /// The tasks that watch parked clients get a turn. Says whether they did something.
    pub(super) fn run_parked(&mut self) -> bool {
        let mut does_something = false;
        for (listener, notices) in self.notices() {
            let spoken = self.clients.spoken.borrow();
            let watched = notices.watched.borrow();
            let ready = watched.iter().filter(|(_, client)| spoken.contains(client));
            let ready: Vec<_> = ready.map(|(&id, _)| id).collect();
            drop((spoken, watched));
            for id in ready {
                if self.core.may_unpark(listener) {
                    self.core.parked_ready(listener, id, self.now);
                    does_something = true;
                }
            }
        }
        does_something
    }

    fn notices(&mut self) -> Vec<(ListenerId, Rc<Notices>)> {
        let listeners = self.listeners.into_iter().flatten();
        let notices = |it| Some((it, Rc::clone(&self.core.distribution(it)?.acceptors)));
        listeners.filter_map(notices).collect()
    }
}

#[test]
fn parked_clients_are_served_when_they_speak_and_ended_when_their_time_is_over() {
    let mut simulation = Simulation::new(Scheduling::RoundRobin);
    for _ in 0..2 {
        let id = simulation.fork();
        simulation.listen(id, 0);
    }
    simulation.step(1, Step::Connect(0, 8));
    let tasks: Vec<_> = simulation.acceptors.keys().copied().collect();
    for (listener, socket) in tasks {
        while simulation.run_acceptor(listener, socket) {}
    }
    while simulation.serve(1) {}
    simulation.drain(1, true);
    for left in [Some(10), None, Some(10), Some(1000)] {
        simulation.park(1, left);
    }
    let parked = |simulation: &Simulation| simulation.clients.count(Place::Parked);
    assert!(parked(&simulation) > 0);
    simulation.pass(Duration::from_millis(10));
    assert_eq!(simulation.clients.count(Place::Closed), 2, "the time of two is over");
    simulation.pass(Duration::from_millis(1100));
    simulation.speak(8);
    assert!(simulation.run_parked());
    simulation.settle();
}

/// Two workers of the first generation and one of the second, which serve the first address. The first one
/// drains. Whatever happens to the last one before, the clients that the first leaves speak. Returns how many
/// these are, and how many clients the others have been given then.
fn left_in_reload(scheduling: Scheduling, step: Step) -> (usize, [usize; 2]) {
    let mut simulation = Simulation::new(scheduling);
    for generation in [1, 1, 2] {
        let id = simulation.fork();
        simulation.core.workers.get_mut(&id).unwrap().generation = Some(generation);
        if generation == 1 {
            simulation.listen(id, 0);
        }
    }
    simulation.step(1, Step::Connect(0, 16));
    let tasks: Vec<_> = simulation.acceptors.keys().copied().collect();
    for (listener, socket) in tasks {
        while simulation.run_acceptor(listener, socket) {}
    }
    for id in [1, 2] {
        simulation.read(id);
        while simulation.serve(id) {}
    }
    simulation.listen(3, 0);
    simulation.step(3, step);
    simulation.drain(1, true);
    let count = simulation.workers[&1].served.len().min(memory::QUEUE);
    for _ in 0..count {
        simulation.park(1, None);
    }
    simulation.speak(count);
    simulation.run_parked();
    let queued = [2, 3].map(|id| simulation.workers[&id].lanes.queued());
    simulation.step(3, Step::Resume);
    simulation.settle();
    (count, queued)
}

const POLICIES: [Scheduling; 4] = [
    Scheduling::RoundRobin,
    Scheduling::LeastConnections,
    Scheduling::SourceHash,
    Scheduling::ReusePort,
];

#[test]
fn parked_clients_go_to_the_newest_generation() {
    for scheduling in POLICIES {
        let (count, queued) = left_in_reload(scheduling, Step::Read);
        assert!(count > 0);
        assert_eq!(queued, [0, count], "{scheduling:?}");
    }
}

#[test]
fn parked_clients_go_to_older_generations_where_the_newest_takes_none() {
    for scheduling in POLICIES {
        let (count, queued) = left_in_reload(scheduling, Step::Pause);
        assert!(count > 0);
        assert_eq!(queued, [count, 0], "{scheduling:?}");
    }
}

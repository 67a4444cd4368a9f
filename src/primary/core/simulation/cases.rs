//! Faults that there were, each as the shortest way to it.

use super::*;

/// A simulation of workers that all serve the first address.
pub(super) fn simulation(scheduling: Scheduling, workers: usize) -> Simulation {
    let mut simulation = Simulation::new(scheduling);
    for _ in 0..workers {
        let id = simulation.fork();
        simulation.listen(id, 0);
        simulation.read(id);
    }
    simulation
}

/// So many clients connect to the first address, and are accepted by the engine if it can.
pub(super) fn connect(simulation: &mut Simulation, count: usize) {
    simulation.step(1, Step::Connect(0, count));
    let tasks: Vec<_> = simulation.acceptors.keys().copied().collect();
    for (listener, socket) in tasks {
        while simulation.run_acceptor(listener, socket) {}
    }
}

#[test]
fn a_cooldown_does_not_end_with_an_earlier_one() {
    let mut simulation = simulation(Scheduling::RoundRobin, 1);
    connect(&mut simulation, 2);
    simulation.take_and_return(1);
    simulation.pass(Duration::from_millis(9));
    simulation.take_and_return(1);
    simulation.pass(Duration::from_millis(9));
    assert_eq!(simulation.workers[&1].lanes.queued(), 0, "the second cooldown goes on");
    simulation.pass(Duration::from_millis(1));
    assert!(simulation.serve(1) && simulation.serve(1));
}

#[test]
fn ids_of_listeners_begin_again_after_the_last_one_and_none_is_given_twice() {
    let mut simulation = simulation(Scheduling::RoundRobin, 1);
    connect(&mut simulation, 1);
    assert_eq!(simulation.listeners[0], Some(1));
    simulation.core.skip_listeners(u64::from(ListenerId::MAX) - 2);
    let last = simulation.core.next_listener();
    assert_eq!((last, simulation.core.next_listener()), (ListenerId::MAX, 2));
    // The worker has a connection of a listener that is closed.
    assert!(simulation.serve(1));
    simulation.step(1, Step::Close(0));
    simulation.core.skip_listeners(u64::from(ListenerId::MAX) - 2);
    assert_eq!(simulation.core.next_listener(), 2);
}

#[test]
fn what_a_stuck_worker_has_not_taken_goes_to_one_that_answers() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::LeastConnections] {
        let mut simulation = simulation(scheduling, 2);
        simulation.step(1, Step::Block);
        connect(&mut simulation, 2);
        assert!(simulation.serve(2));
        for _ in 0..10 {
            simulation.pass(Duration::from_millis(2));
            simulation.read(2);
        }
        assert!(simulation.core.worker(1).unwrap().availability.is_stalled());
        assert!(simulation.serve(2), "the client of the stuck worker");
        connect(&mut simulation, 1);
        assert!(simulation.serve(2), "the stuck worker gets nothing more");
        simulation.step(1, Step::Unblock);
        simulation.check_reasons();
        connect(&mut simulation, 2);
        assert!(simulation.serve(1), "it has its turn again");
    }
}

#[test]
fn a_pause_that_ends_in_another_trouble_does_not_put_the_worker_back() {
    let mut simulation = simulation(Scheduling::RoundRobin, 2);
    for step in [Step::Exhaust, Step::Pause, Step::Resume] {
        simulation.step(1, step);
    }
    connect(&mut simulation, 2);
    assert!(simulation.serve(2) && simulation.serve(2), "the first has no descriptors");
    simulation.pass(Duration::from_millis(10));
    simulation.step(1, Step::Recover);
    simulation.pass(Duration::from_millis(10));
    connect(&mut simulation, 2);
    assert!(simulation.serve(1) && simulation.serve(2), "it has descriptors again");
}

#[test]
fn an_answer_that_was_not_asked_for_says_nothing() {
    let mut simulation = simulation(Scheduling::RoundRobin, 2);
    simulation.step(1, Step::Block);
    connect(&mut simulation, 2);
    simulation.pass(Duration::from_millis(2));
    simulation.step(2, Step::AnswerUnasked);
    assert_eq!(simulation.workers[&1].lanes.queued(), 1, "it keeps what it may take");
}

#[test]
fn a_worker_that_is_gone_still_returns_connections() {
    let mut simulation = simulation(Scheduling::RoundRobin, 2);
    connect(&mut simulation, 2);
    simulation.step(1, Step::Shortage(true));
    simulation.die(1, true);
    assert!(simulation.serve(2));
    simulation.pass(Duration::from_millis(50));
    assert!(!simulation.serve(2), "there is no descriptor to take it back by");
    let departed = simulation.core.departed.get(&1).unwrap();
    departed.lanes.has_shortage.set(false);
    simulation.core.has_returned_all(1, simulation.now);
    simulation.pass(Duration::from_millis(20));
    assert!(simulation.serve(2) && simulation.core.departed.is_empty());
}

#[test]
fn connections_wait_for_the_next_worker_and_are_closed_after_the_queue_timeout() {
    for waits in [true, false] {
        let mut simulation = Simulation::new(Scheduling::RoundRobin);
        let id = simulation.fork_with(Duration::from_secs(5));
        simulation.listen(id, 0);
        simulation.step(id, Step::Block);
        simulation.connect(0);
        simulation.accept_some();
        // Another one, which is only in the backlog.
        simulation.connect(0);
        simulation.die(id, false);
        simulation.pass(Duration::from_millis(4999));
        assert_eq!(simulation.clients.count(Place::Engine), 2);
        if waits {
            let next = simulation.fork();
            simulation.listen(next, 0);
            assert!(simulation.serve(next) && simulation.serve(next));
        } else {
            simulation.clients.may_close.set(true);
            simulation.pass(Duration::from_millis(1));
            assert_eq!(simulation.clients.count(Place::Closed), 2);
            assert!(simulation.core.listener(1).is_none(), "nothing is left of the address");
        }
    }
}

#[test]
fn without_a_queue_timeout_connections_are_closed_with_their_address() {
    let mut simulation = Simulation::new(Scheduling::RoundRobin);
    let id = simulation.fork_with(Duration::ZERO);
    simulation.listen(id, 0);
    simulation.connect(0);
    simulation.accept_some();
    simulation.clients.may_close.set(true);
    simulation.step(id, Step::Withdraw);
    assert_eq!(simulation.clients.count(Place::Closed), 1);
    assert!(simulation.core.listener(1).is_none());
}

#[test]
fn a_socket_that_a_living_worker_has_had_goes_to_no_other_worker() {
    let mut simulation = simulation(Scheduling::ReusePort, 2);
    let its_socket = Rc::clone(&simulation.workers[&1].sockets[0].1);
    // It leaves, and keeps its descriptor.
    simulation.step(1, Step::Close(0));
    let next = simulation.fork();
    simulation.listen(next, 0);
    simulation.read(next);
    assert!(!Rc::ptr_eq(&simulation.workers[&next].sockets[0].1, &its_socket));
    simulation.die(1, false);
    let last = simulation.fork();
    simulation.listen(last, 0);
    simulation.read(last);
    assert!(Rc::ptr_eq(&simulation.workers[&last].sockets[0].1, &its_socket));
}

#[test]
fn what_waits_at_the_socket_of_a_worker_that_dies_goes_to_others() {
    let mut simulation = simulation(Scheduling::ReusePort, 2);
    simulation.step(1, Step::Block);
    while simulation.workers[&1].sockets[0].1.backlog() == 0 {
        simulation.connect(0);
    }
    simulation.die(1, false);
    let tasks: Vec<_> = simulation.acceptors.keys().copied().collect();
    for (listener, socket) in tasks {
        while simulation.run_acceptor(listener, socket) {}
    }
    while simulation.serve(2) {}
    assert_eq!(simulation.clients.count(Place::Served), simulation.clients.connected());
}

#[test]
fn a_worker_at_its_limit_accepts_from_its_own_socket_again_after_the_cooldown() {
    let mut simulation = simulation(Scheduling::ReusePort, 1);
    // The engine accepts for it while it is paused, and what it gets by the queue it returns.
    simulation.step(1, Step::Pause);
    let other = simulation.fork();
    simulation.listen(other, 0);
    simulation.read(other);
    connect(&mut simulation, 20);
    simulation.step(1, Step::Resume);
    simulation.step(1, Step::Read);
    while simulation.workers[&other].lanes.queued() > 0 {
        simulation.take_and_return(other);
    }
    assert!(!simulation.workers[&other].quiet.is_empty());
    simulation.step(1, Step::Serve(40));
    simulation.see_room(1);
    simulation.pass(Duration::from_millis(20));
    simulation.step(other, Step::Read);
    assert!(simulation.workers[&other].quiet.is_empty(), "it is told that it may");
}

#[test]
fn a_full_worker_is_asked_again_when_there_is_room_in_its_queue() {
    let mut simulation = simulation(Scheduling::RoundRobin, 1);
    connect(&mut simulation, 2 * memory::QUEUE);
    assert_eq!(simulation.clients.count(Place::Engine), 1, "one that found no room");
    simulation.check_reasons();
    assert!(simulation.serve(1) && simulation.see_room(1));
    assert_eq!(simulation.workers[&1].lanes.queued(), memory::QUEUE);
}

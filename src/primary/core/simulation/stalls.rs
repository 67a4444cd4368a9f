//! What the stall detector asks the kernel, and how often.

use super::{
    cases::{connect, simulation},
    *,
};

/// How often the kernel was asked about all queues, and about the threads of all workers.
fn asked(simulation: &Simulation) -> (usize, usize) {
    let lanes = simulation.workers.values().map(|it| &it.lanes);
    lanes.fold((0, 0), |(queries, loads), it| {
        (queries + it.queries.get(), loads + it.loads.get() + it.main_times.get())
    })
}

#[test]
fn while_workers_take_connections_their_processes_are_not_looked_at() {
    let mut simulation = simulation(Scheduling::RoundRobin, 4);
    connect(&mut simulation, 40);
    let before = asked(&simulation);
    for _ in 0..500 {
        for id in 1..=4 {
            assert!(simulation.serve(id));
        }
        connect(&mut simulation, 4);
        simulation.pass(Duration::from_millis(2));
    }
    let after = asked(&simulation);
    assert_eq!(after.1, before.1, "looks at processes");
    // Once in 20 ms at each, where each of the 2000 connections would be one more.
    let queries = after.0 - before.0;
    assert!(queries <= 4 * 1000 / 20, "{queries} queries in a second");
}

#[test]
fn many_stuck_workers_are_looked_at_a_few_at_a_time_and_then_hardly_at_all() {
    const WORKERS: usize = 64;
    let mut simulation = simulation(Scheduling::RoundRobin, WORKERS);
    for id in 1..=WORKERS as WorkerId {
        simulation.step(id, Step::Block);
    }
    connect(&mut simulation, 3 * WORKERS);
    let loads = |simulation: &Simulation| -> usize {
        simulation.workers.values().map(|it| it.lanes.loads.get()).sum()
    };
    for _ in 0..100 {
        let before = loads(&simulation);
        simulation.pass(Duration::from_millis(2));
        assert!(loads(&simulation) - before <= 4, "a sweep has a budget");
    }
    assert_eq!(loads(&simulation), WORKERS, "each is looked at once");
    let before = asked(&simulation);
    simulation.pass(Duration::from_secs(1));
    let after = asked(&simulation);
    let queries = after.0 - before.0;
    assert!(queries <= WORKERS * 20 && after.1 == before.1, "{queries} queries in a second");
}

#[test]
fn stuck_workers_are_hardly_looked_at_beside_one_that_works() {
    const WORKERS: usize = 64;
    let mut simulation = simulation(Scheduling::RoundRobin, WORKERS);
    for id in 2..=WORKERS as WorkerId {
        simulation.step(id, Step::Block);
    }
    connect(&mut simulation, 3 * WORKERS);
    // The first takes some now and then, and does not read its messages.
    let mut pass = |millis: usize| {
        for _ in 0..millis / 2 {
            simulation.pass(Duration::from_millis(2));
            simulation.serve(1);
            connect(&mut simulation, 1);
        }
        asked(&simulation)
    };
    let before = pass(200);
    let after = pass(1000);
    let queries = after.0 - before.0;
    assert!(queries <= WORKERS * 50, "{queries} queries in a second");
}

#[test]
fn a_worker_that_counts_what_it_does_not_take_keeps_connections_for_30_ms_at_most() {
    for lies in [None, Some(0)] {
        let mut simulation = simulation(Scheduling::RoundRobin, 2);
        simulation.step(1, Step::Block);
        simulation.workers[&1].lanes.lies.set(lies);
        connect(&mut simulation, 2);
        assert!(simulation.serve(2));
        let limit = if lies.is_some() { 32 } else { 10 };
        for _ in 0..limit / 2 {
            simulation.pass(Duration::from_millis(2));
            simulation.read(2);
        }
        assert!(simulation.serve(2), "the client of the stuck worker");
    }
}

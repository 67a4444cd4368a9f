//! A thousand workers, and a million steps.

use super::*;

/// Steps of each policy.
const STEPS: usize = 250_000;

const WORKERS: usize = 1000;

/// A random step of a simulation with many workers: each of them is mostly in service.
fn random_step(random: &mut Random) -> Step {
    match random.below(1000) {
        0..1 => Step::Withdraw,
        1..2 => Step::Drain(random.below(4) > 0),
        2..4 => Step::Die(random.below(2) == 0),
        4..6 => Step::Close(random.below(ADDRESSES)),
        6..12 => Step::Listen(random.below(ADDRESSES)),
        12..20 => Step::Block,
        20..50 => Step::Unblock,
        50..60 => Step::Pause,
        60..100 => Step::Resume,
        100..110 => Step::Exhaust,
        110..150 => Step::Recover,
        150..152 => Step::Spoil(random.below(ADDRESSES), random.below(2) == 0),
        152..154 => Step::Shortage(true),
        154..164 => Step::Shortage(false),
        164..170 => Step::AnswerUnasked,
        170..190 => Step::Return,
        190..290 => Step::Read,
        290..390 => Step::SeeRoom,
        390..440 => Step::Hang,
        440..740 => Step::Serve(1 + random.below(4)),
        740..835 => Step::Accept,
        835..840 => Step::Speak,
        840..850 => Step::Pass(1 + random.below(5) as u64),
        _ => Step::Connect(random.below(ADDRESSES), 1 + random.below(3)),
    }
}

fn serve_at_many_workers(scheduling: Scheduling) {
    let mut simulation = Simulation::new(scheduling);
    let mut ids: Vec<_> = (0..WORKERS).map(|_| simulation.fork()).collect();
    for (number, &id) in ids.iter().enumerate() {
        simulation.listen(id, number % ADDRESSES);
    }
    let mut random = Random::new();
    for count in 0..STEPS {
        let chosen = random.below(WORKERS);
        let step = random_step(&mut random);
        simulation.step(ids[chosen], step);
        // One that leaves makes room for another.
        if let Step::Withdraw | Step::Drain(_) | Step::Die(_) = step {
            if let Step::Drain(_) = step {
                for _ in 0..random.below(8) {
                    let left = (random.below(2) == 0).then_some(20);
                    simulation.step(ids[chosen], Step::Park(left));
                }
            }
            if let Step::Withdraw | Step::Drain(_) = step {
                simulation.step(ids[chosen], Step::Die(false));
            }
            ids[chosen] = simulation.fork();
            simulation.listen(ids[chosen], chosen % ADDRESSES);
        }
        if count % 10_000 == 0 {
            simulation.check_places();
            simulation.check_reasons();
            for id in std::mem::take(&mut simulation.unread) {
                simulation.core.has_returned_all(id, simulation.now);
            }
        }
    }
    assert!(simulation.clients.connected() > 10_000, "{}", simulation.clients.connected());
    simulation.settle();
}

#[test]
fn a_thousand_workers_in_turn_serve_each_client_once() {
    serve_at_many_workers(Scheduling::RoundRobin);
}

#[test]
fn a_thousand_workers_with_the_fewest_connections_first_serve_each_client_once() {
    serve_at_many_workers(Scheduling::LeastConnections);
}

#[test]
fn a_thousand_workers_chosen_by_address_serve_each_client_once() {
    serve_at_many_workers(Scheduling::SourceHash);
}

#[test]
fn a_thousand_workers_with_sockets_of_their_own_serve_each_client_once() {
    serve_at_many_workers(Scheduling::ReusePort);
}

//! Primaries that stand by: no worker gets a connection before the place is taken, and one that fails fails all.

use super::*;

/// The predecessor's workers listen where those of a good program do.
fn standing_by(program: Program, workers: u32, max_surge: u32, seed: u64) -> World {
    let expected = [Address::new(&tcp(80), ":80")];
    standing_by_for(&expected, program, workers, max_surge, seed)
}

fn standing_by_for(
    expected: &[Address],
    program: Program,
    workers: u32,
    max_surge: u32,
    seed: u64,
) -> World {
    let options = options(workers, max_surge, None);
    let supervisor = Supervisor::standing_by(options, 0, next_ids(), 5, expected.to_vec());
    World::of(supervisor, program, seed)
}

fn tcp(port: u16) -> Query {
    Query::new(Target::Tcp { address: None, port })
}

impl World {
    fn failures(&self) -> usize {
        self.reports.iter().filter(|it| matches!(it, Report::StandbyFailed(_))).count()
    }

    fn wait_for(&mut self, milliseconds: u64) {
        self.run(self.now + Duration::from_millis(milliseconds));
    }
}

#[test]
fn all_workers_start_at_once_and_none_is_admitted_before_the_place_is_taken() {
    for max_surge in [0, 1, 3] {
        let mut world = standing_by(Program::Good, 4, max_surge, 7);
        assert_eq!(world.processes.len(), 4);
        world.wait_for(1000);
        assert_eq!((world.serving(), world.withheld.len()), (4, 4));
        assert!(!world.is_prepared, "the first has not been well for long enough");
        world.wait_for(200);
        assert!(world.is_prepared && world.supervisor.is_prepared());
        assert_eq!(world.supervisor.state(), State::Starting);
        world.wait_for(100_000);
        assert_eq!(world.withheld.len(), 4);
        assert!(world.reports.iter().all(|it| matches!(it, Report::Replaced { .. })));
        world.tell(|it, _| it.take_place());
        assert_eq!(world.withheld.len(), 0);
        assert_eq!(world.reports.iter().filter(|it| **it == Report::Ready).count(), 1);
        assert_eq!(world.supervisor.status().generation, 5);
        world.end();
    }
}

#[test]
fn workers_are_not_well_before_they_listen_where_those_of_the_predecessor_do() {
    let expected = [Address::new(&tcp(80), ":80"), Address::new(&tcp(81), ":81")];
    let other_name = Query::new(Target::Tcp { address: Some("::".into()), port: 81 });
    let datagrams = Query::new(Target::Udp { address: None, port: 81, ipv6: true });
    for (query, is_expected) in [(tcp(81), true), (other_name, true), (datagrams, false)] {
        let mut world = standing_by_for(&expected, Program::Good, 2, 1, 7);
        world.wait_for(1900);
        assert!(!world.is_prepared, "the first has been well for more than a second");
        let worker = *world.processes.keys().next().unwrap();
        world.tell(|it, now| it.listens(worker, &query, ":81", now));
        assert_eq!(world.is_prepared, is_expected, "{query:?}");
        // Then it counts as given up, whatever else is added.
        world.wait_for(500);
        assert!(world.is_prepared, "{query:?}");
    }
}

#[test]
fn one_worker_that_fails_fails_all() {
    let broken = [
        Program::ExitsAtStart,
        Program::NeverReady,
        Program::DiesReady(0),
        Program::DiesReady(500),
        Program::EatsMemory,
        Program::CannotBeForked,
    ];
    for program in broken {
        let mut world = standing_by(program, 3, 1, 7);
        world.wait_for(100_000);
        assert_eq!(world.failures(), 1, "{program:?}");
        assert!(world.processes.is_empty() && !world.is_prepared, "{program:?}");
        assert_eq!(world.supervisor.state(), State::Failed);
        assert!(!world.reports.iter().any(|it| matches!(it, Report::BackOff { .. })));
        world.tell(|it, _| it.take_place());
        world.wait_for(1000);
        assert!(world.processes.is_empty(), "it is too late for that");
    }
}

#[test]
fn a_worker_that_hangs_or_dies_after_all_were_well_fails_all() {
    for hangs in [false, true] {
        let mut world = standing_by(Program::Good, 3, 1, 7);
        world.wait_for(5000);
        assert!(world.is_prepared);
        world.step(if hangs { Step::Hang(1) } else { Step::Die(1) });
        world.wait_for(1000);
        assert_eq!(world.failures(), 1);
        assert!(world.processes.is_empty());
    }
}

#[test]
fn a_primary_that_is_left_alone_serves_with_what_it_has() {
    let mut world = standing_by(Program::Good, 3, 1, 7);
    world.wait_for(10);
    world.tell(|it, _| it.take_place());
    world.step(Step::Die(0));
    assert_eq!(world.failures(), 0, "a worker that dies is replaced");
    world.wait_for(5000);
    assert!(world.withheld.is_empty());
    world.end();
}

#[test]
fn operations_wait_until_the_place_is_taken() {
    let mut world = standing_by(Program::Good, 2, 1, 7);
    world.step(Step::Scale(4));
    let token = world.reload(Program::Good);
    world.wait_for(5000);
    assert!(world.answers.is_empty() && world.processes.len() == 2);
    world.tell(|it, _| it.take_place());
    world.wait_for(20_000);
    assert!(matches!(world.answers[&token], Outcome::Reloaded(6, _)));
    assert_eq!(world.serving(), 4);
    world.end();
}

#[test]
fn a_primary_that_stands_by_can_be_stopped_and_given_up() {
    let mut world = standing_by(Program::Good, 2, 1, 7);
    world.wait_for(5000);
    let token = world.token();
    world.tell(|it, now| it.stop(token, Duration::ZERO, Duration::from_secs(30), now));
    world.wait_for(5000);
    assert_eq!(world.answers[&token], Outcome::Done);
    assert!(world.processes.is_empty());
    let mut world = standing_by(Program::Good, 2, 1, 7);
    world.wait_for(20);
    world.tell(|it, _| it.end_standby());
    world.wait_for(5000);
    assert!(world.processes.is_empty());
    assert_eq!(world.failures(), 0, "the program knows why");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn whatever_happens_no_worker_serves_before_its_primary_does(
        program in any_program(),
        steps in prop::collection::vec(any_step(), 0..20),
        later in prop::collection::vec(any_step(), 0..20),
        workers in 1..5_u32,
        max_surge in 0..3_u32,
        port in 80..82_u16,
        seed in any::<u64>(),
    ) {
        let max_surge = if workers == 1 { max_surge.max(1) } else { max_surge };
        let expected = [Address::new(&tcp(port), &format!(":{port}"))];
        let mut world = standing_by_for(&expected, program, workers, max_surge, seed);
        for step in steps {
            world.step(step);
            let started = world.processes.keys().all(|it| world.withheld.contains(it));
            prop_assert!(started, "none is admitted");
        }
        prop_assert!(world.failures() <= 1);
        let is_refused = |it: &Outcome| matches!(it, Outcome::Rejected(it) if it.cause == Cause::Busy);
        prop_assert!(world.answers.values().all(is_refused), "nothing is done that was asked for");
        if world.failures() == 1 {
            world.wait_for(100_000);
            prop_assert!(world.processes.is_empty());
        } else {
            world.tell(|it, _| it.take_place());
            for step in later {
                world.step(step);
            }
            world.end();
        }
    }
}

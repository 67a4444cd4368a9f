//! Another primary is to take over.

use super::*;

impl World {
    pub(super) fn upgrade(&mut self, fate: Fate) -> Token {
        let token = self.token();
        if !self.has_successor {
            self.fate = fate;
        }
        let mut has_begun = false;
        self.tell(|it, now| has_begun = it.upgrade(token, now));
        assert_eq!(has_begun, !self.answers.contains_key(&token));
        token
    }

    pub(super) fn successor_comes(&mut self, what: Coming) {
        match what {
            Coming::SuccessorReady => self.tell(|it, _| it.successor_ready()),
            Coming::SuccessorServes => self.tell(|it, now| it.successor_serves(99, false, now)),
            Coming::SuccessorFails => {
                self.has_successor = false;
                let (cause, phase) = (Cause::GaveUp("it fails".into()), FailedPhase::Ready);
                let rejection = Rejection { cause, phase, worker: None, slot: None };
                self.tell(|it, now| it.successor_failed(rejection, now));
            }
            Coming::HasEverything => self.tell(|it, _| it.handed_over()),
            _ => unreachable!("of workers"),
        }
    }

    /// Why an operation was rejected.
    fn cause(&self, token: Token) -> &Cause {
        match &self.answers[&token] {
            Outcome::Rejected(rejection) => &rejection.cause,
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.run(self.now + Duration::from_millis(milliseconds));
    }

    fn expect_stopped(&self) {
        assert_eq!(self.supervisor.state(), State::Stopped);
        assert_eq!(self.reports.last(), Some(&Report::Stopped));
        assert!(self.processes.is_empty());
        for token in 1..=self.tokens {
            assert!(self.answers.contains_key(&token), "operation {token} has ended");
        }
    }
}

fn ready() -> World {
    let mut world = World::new(options(2, 1, None), 7);
    world.pass(1000);
    assert_eq!(world.serving(), 2);
    world
}

#[test]
fn an_upgrade_ends_all_workers_once_the_successor_serves_and_what_waits_is_refused() {
    let mut world = ready();
    let upgrade = world.upgrade(Fate::Serves(500));
    assert_eq!(world.supervisor.state(), State::Upgrading);
    let reload = world.token();
    world.programs.insert(reload, Program::Good);
    world.tell(|it, _| it.reload(reload, reload));
    world.pass(400);
    assert_eq!((world.serving(), world.answers.len()), (2, 0), "nothing has happened yet");
    world.pass(200);
    let Outcome::Upgraded { pid: 99, generation: 2, time } = world.answers[&upgrade] else {
        panic!("{:?}", world.answers[&upgrade]);
    };
    assert!(time >= Duration::from_millis(500) && time < Duration::from_millis(600));
    assert_eq!(*world.cause(reload), Cause::Upgraded);
    let reload = world.reload(Program::Good);
    world.programs.remove(&reload);
    assert_eq!(*world.cause(reload), Cause::Upgraded);
    let again = world.upgrade(Fate::Serves(1));
    assert_eq!(*world.cause(again), Cause::Upgraded);
    world.pass(1000);
    world.expect_stopped();
}

#[test]
fn an_upgrade_begins_only_where_nothing_else_is_under_way() {
    let mut world = ready();
    world.reload(Program::Good);
    let upgrade = world.upgrade(Fate::Serves(1));
    assert_eq!(*world.cause(upgrade), Cause::Busy);
    world.pass(5000);
    let first = world.upgrade(Fate::FailsEarly(100));
    let second = world.upgrade(Fate::Serves(1));
    assert_eq!(*world.cause(second), Cause::Busy);
    world.pass(200);
    assert!(matches!(world.cause(first), Cause::GaveUp(_)));
    assert_eq!(world.supervisor.state(), State::Ready);
    world.end();
}

#[test]
fn workers_that_die_are_replaced_during_an_upgrade_but_none_is_recycled() {
    let mut world = ready();
    world.upgrade(Fate::FailsLate(20_000));
    world.step(Step::Grow(0));
    world.step(Step::Die(1));
    world.pass(10_000);
    assert_eq!(world.serving(), 2);
    let ids: Vec<_> = world.processes.keys().copied().collect();
    assert_eq!(ids, [1, 3], "one has died, the other has only reached a limit");
    world.pass(20_000);
    assert!(!world.processes.contains_key(&1), "it is recycled now");
    world.end();
}

#[test]
fn a_stop_ends_an_upgrade_that_gets_ready() {
    let mut world = ready();
    let upgrade = world.upgrade(Fate::Serves(1000));
    let stop = world.token();
    world.tell(|it, now| it.stop(stop, Duration::ZERO, Duration::from_secs(30), now));
    assert!(!world.has_successor);
    assert_eq!(*world.cause(upgrade), Cause::Stopping);
    world.pass(3000);
    world.expect_stopped();
}

#[test]
fn a_stop_waits_for_the_outcome_of_the_commit() {
    for (fate, is_upgraded) in [(Fate::Serves(10), true), (Fate::FailsLate(10), false)] {
        let mut world = ready();
        let upgrade = world.upgrade(fate);
        while !world
            .coming
            .iter()
            .any(|(_, worker, what)| *worker == SUCCESSOR && *what != Coming::SuccessorReady)
        {
            world.pass(1);
        }
        let stop = world.token();
        world.tell(|it, now| it.stop(stop, Duration::ZERO, Duration::from_secs(30), now));
        assert!(!world.answers.contains_key(&upgrade));
        world.pass(3000);
        let outcome = &world.answers[&upgrade];
        assert_eq!(matches!(outcome, Outcome::Upgraded { .. }), is_upgraded, "{outcome:?}");
        assert!(!world.has_successor, "it stops as well");
        assert_eq!(world.answers[&stop], Outcome::Done);
        world.expect_stopped();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn when_the_successor_serves_all_workers_end_whatever_happens(
        before in prop::collection::vec(any_step(), 0..30),
        after in prop::collection::vec(any_step(), 0..20),
        workers in 1..5_u32,
        limit in any_limit(),
        takes in 0..3000_u64,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(options(workers, 1, limit), seed);
        for step in before {
            world.step(step);
        }
        let upgrade = world.upgrade(Fate::Serves(takes));
        let has_begun = world.has_successor && !world.answers.contains_key(&upgrade);
        for step in after {
            world.step(step);
        }
        if has_begun {
            world.run(world.now + Duration::from_secs(100));
            let is_upgraded = matches!(world.answers[&upgrade], Outcome::Upgraded { .. });
            prop_assert!(is_upgraded);
            world.expect_stopped();
        } else {
            world.end();
        }
    }
}

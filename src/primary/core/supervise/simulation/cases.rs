//! What happens in single cases, and faults that there were, each as the shortest way to it.

use super::*;

impl World {
    /// The worker listens on a port.
    fn listens(&mut self, worker: WorkerId, port: u16) {
        let query = Query::new(Target::Tcp { address: None, port });
        self.tell(|it, now| it.listens(worker, &query, &format!(":{port}"), now));
    }

    /// It listens there no longer.
    fn closes(&mut self, worker: WorkerId, port: u16) {
        let query = Query::new(Target::Tcp { address: None, port });
        self.tell(|it, now| it.ends_listening(worker, &query, now));
    }

    fn wait(&mut self, milliseconds: u64) {
        self.run(self.now + Duration::from_millis(milliseconds));
    }

    /// The last worker that was started.
    fn newest(&self) -> WorkerId {
        *self.processes.keys().next_back().unwrap()
    }

    fn is_ready(&self, worker: WorkerId) -> bool {
        self.supervisor.members[&worker].ready_since().is_some()
    }
}

/// Workers of a program whose addresses the test determines.
fn silent(workers: u32) -> World {
    let mut world = World::with(Program::NeverReady, options(workers, 1, None), 7);
    world.wait(10);
    world
}

fn ready(workers: u32, max_surge: u32) -> World {
    let mut world = World::new(options(workers, max_surge, None), 7);
    world.run(world.now + Duration::from_secs(1));
    assert_eq!(world.serving(), workers as usize);
    assert!(world.reports.contains(&Report::Ready));
    world
}

fn ids(world: &World) -> Vec<WorkerId> {
    world.supervisor.slots.values().filter_map(|slot| slot.serving).collect()
}

#[test]
fn a_reload_takes_as_long_as_one_trial_and_a_start_for_each_worker() {
    let mut world = ready(8, 1);
    let (before, began) = (ids(&world), world.now);
    let token = world.reload(Program::Good);
    world.run(world.now + Duration::from_secs(10));
    let Outcome::Reloaded(2, time) = world.answers[&token] else {
        panic!("{:?}", world.answers[&token]);
    };
    // Forked after 1 to 5 ms, ready 30 to 34 ms later.
    assert!(time <= Duration::from_millis(1000 + 8 * 45), "{time:?}");
    assert!(began + time <= world.now);
    assert!(ids(&world).iter().all(|it| !before.contains(it)));
}

#[test]
fn a_reload_waits_for_first_workers_that_listen_but_not_for_others() {
    let mut world = silent(2);
    let [first, second] = [1, 2];
    world.listens(first, 80);
    world.wait(10);
    let token = world.reload(Program::Good);
    assert!(world.supervisor.members[&first].counts());
    world.wait(200);
    assert!(world.is_ready(first));
    assert!(!world.supervisor.members.contains_key(&second), "it serves nothing");
    world.wait(500);
    assert_eq!(world.answers.get(&token), None, "on trial");
    assert!(world.is_ready(first));
    // The good program of this world listens on port 80 as well.
    world.wait(5_000);
    assert!(matches!(world.answers[&token], Outcome::Reloaded(2, _)));
}

#[test]
fn code_that_is_broken_leaves_the_old_workers_as_they_are() {
    let programs = [
        Program::ExitsAtStart,
        Program::NeverReady,
        Program::DiesReady(0),
        Program::DiesReady(500),
        Program::EatsMemory,
        Program::CannotBeForked,
    ];
    for program in programs {
        let mut world = ready(3, 1);
        let before = ids(&world);
        let token = world.reload(program);
        world.run(world.now + Duration::from_secs(100));
        assert!(matches!(world.answers[&token], Outcome::Rejected(_)), "{program:?}");
        assert_eq!(ids(&world), before, "{program:?}");
        assert_eq!(world.processes.len(), 3);
    }
}

#[test]
fn a_generation_that_fails_later_is_rolled_back() {
    let mut world = ready(8, 1);
    let token = world.reload(Program::DiesReady(1000));
    world.run(world.now + Duration::from_secs(10));
    assert!(matches!(world.answers[&token], Outcome::Rejected(_)));
    assert!(world.processes.values().all(|it| it.program == Program::Good));
    assert_eq!(world.serving(), 8);
}

#[test]
fn a_crash_loop_starts_few_workers() {
    let mut world = World::with(Program::ExitsAtStart, options(1, 1, None), 3);
    world.run(world.now + Duration::from_secs(60));
    let starts = world.reports.iter().filter(|it| matches!(it, Report::BackOff { .. })).count();
    assert!((5..=20).contains(&starts), "{starts}");
}

#[test]
fn a_slot_that_has_failed_too_often_waits_for_a_reload_and_does_not_touch_the_others() {
    let limit = RestartLimit { count: 2, within: None };
    let mut world = World::new(options(2, 1, Some(limit)), 3);
    world.run(world.now + Duration::from_secs(1));
    world.programs.insert(0, Program::ExitsAtStart);
    let [one, other] = ids(&world)[..] else { panic!("two serve") };
    world.die(one);
    world.run(world.now + Duration::from_secs(60));
    assert_eq!(ids(&world), [other]);
    assert_eq!(world.supervisor.state(), State::Ready);
    world.die(other);
    world.run(world.now + Duration::from_secs(60));
    assert_eq!(world.supervisor.state(), State::Failed);
    assert!(world.reports.iter().any(|it| matches!(it, Report::Failed(_))));
    let token = world.reload(Program::Good);
    world.run(world.now + Duration::from_secs(60));
    assert!(matches!(world.answers[&token], Outcome::Reloaded(..)));
    assert_eq!(world.serving(), 2);
}

#[test]
fn a_held_supervisor_replaces_nothing_until_it_is_released() {
    let mut world = ready(3, 1);
    world.step(Step::Hold);
    let [first, ..] = ids(&world)[..] else { panic!("three serve") };
    world.die(first);
    world.run(world.now + Duration::from_secs(60));
    assert_eq!(world.serving(), 2);
    let token = world.reload(Program::Good);
    world.run(world.now + Duration::from_secs(60));
    assert!(matches!(world.answers[&token], Outcome::Reloaded(..)));
    assert_eq!(world.serving(), 3, "a reload fills empty slots");
    world.step(Step::Die(0));
    world.step(Step::Release);
    world.run(world.now + Duration::from_secs(1));
    assert_eq!(world.serving(), 3);
}

#[test]
fn a_worker_that_hangs_is_killed_when_the_next_one_is_ready() {
    for max_surge in [0, 1] {
        let mut world = ready(2, max_surge);
        let [hung, _] = ids(&world)[..] else { panic!("two serve") };
        world.tell(|it, now| it.hangs(hung, now));
        assert_eq!(world.processes[&hung].is_leaving, max_surge == 0);
        world.run(world.now + Duration::from_secs(1));
        assert!(!world.processes.contains_key(&hung));
        assert_eq!(world.serving(), 2);
    }
}

#[test]
fn workers_that_have_a_port_each_are_replaced() {
    let mut world = silent(3);
    for worker in 1..=3 {
        world.listens(worker, 3000 + worker as u16);
        world.wait(150);
    }
    assert_eq!(ids(&world), [1, 2, 3]);
    world.die(2);
    world.wait(1000);
    world.listens(4, 3004);
    world.wait(150);
    assert_eq!(ids(&world), [1, 4, 3]);
}

#[test]
fn an_address_that_workers_add_late_is_required_of_the_next_ones() {
    let mut world = silent(2);
    for worker in [1, 2] {
        world.listens(worker, 80);
    }
    world.wait(200);
    assert_eq!(ids(&world), [1, 2]);
    for worker in [1, 2] {
        world.listens(worker, 81);
    }
    world.wait(60_000);
    // This does not belong to the start.
    for worker in [1, 2] {
        world.listens(worker, 82);
    }
    world.reload(Program::NeverReady);
    world.wait(10);
    let canary = world.newest();
    world.listens(canary, 80);
    world.wait(5000);
    assert!(!world.is_ready(canary));
    world.listens(canary, 81);
    world.wait(1000);
    assert!(world.is_ready(canary));
}

#[test]
fn an_address_that_closes_is_not_waited_for_any_longer() {
    let mut world = silent(1);
    world.listens(1, 80);
    world.listens(1, 81);
    world.wait(200);
    let token = world.reload(Program::NeverReady);
    world.wait(10);
    let canary = world.newest();
    world.listens(canary, 80);
    world.closes(1, 81);
    world.wait(1100);
    assert!(matches!(world.answers[&token], Outcome::Reloaded(..)));
}

#[test]
fn a_worker_that_has_closed_its_only_server_is_not_ready() {
    let mut world = silent(1);
    world.listens(1, 80);
    world.closes(1, 80);
    world.wait(1000);
    assert!(!world.is_ready(1));
    world.listens(1, 81);
    world.wait(200);
    assert!(world.is_ready(1));
}

#[test]
fn a_canary_that_closes_its_server_does_not_take_over() {
    let mut world = silent(1);
    world.listens(1, 80);
    world.wait(200);
    let token = world.reload(Program::NeverReady);
    world.wait(10);
    let canary = world.newest();
    world.listens(canary, 80);
    world.wait(500);
    world.closes(canary, 80);
    world.wait(70_000);
    let timed_out = Cause::TimedOut(vec![":80".into()]);
    assert!(
        matches!(&world.answers[&token], Outcome::Rejected(it) if it.cause == timed_out),
        "{:?}",
        world.answers[&token]
    );
    assert_eq!(ids(&world), [1]);
}

/// What happens when the supervisor wants something of its driver.
fn effects(world: &mut World, tell: impl FnOnce(&mut Supervisor, Instant)) -> Vec<Effect> {
    tell(&mut world.supervisor, world.now);
    world.supervisor.settle(world.now);
    std::iter::from_fn(|| world.supervisor.take_effect()).collect()
}

/// How long the worker has to finish what it has, if it is to leave.
fn time_left(effects: &[Effect], id: WorkerId) -> Option<Duration> {
    effects.iter().find_map(|effect| match effect {
        Effect::Drain { worker, timeout, .. } if *worker == id => Some(*timeout),
        _ => None,
    })
}

#[test]
fn a_worker_that_is_not_ready_finishes_what_it_has_been_given() {
    let second = Duration::from_secs(1);
    let stop = |it: &mut Supervisor, now| {
        it.stop(1, Duration::ZERO, second, now);
        it.flushed(now);
    };
    let mut world = silent(2);
    world.listens(1, 80);
    let effects = effects(&mut world, stop);
    assert_eq!(time_left(&effects, 1), Some(second));
    assert_eq!(time_left(&effects, 2), Some(Duration::ZERO));
}

#[test]
fn a_reload_does_not_take_away_the_only_worker_that_listens() {
    for workers in [1, 2] {
        let mut world = silent(workers);
        world.listens(1, 80);
        world.programs.insert(1, Program::Good);
        let effects = effects(&mut world, |it, _| it.reload(1, 1));
        assert_eq!(time_left(&effects, 1), None);
        for effect in effects {
            world.carry_out(effect);
        }
        world.wait(3000);
        assert!(matches!(world.answers[&1], Outcome::Reloaded(..)), "{:?}", world.answers);
    }
}

#[test]
fn what_listens_on_too_little_in_time_finishes_what_it_has() {
    let mut world = silent(2);
    for worker in [1, 2] {
        world.listens(worker, 80);
        world.listens(worker, 81);
    }
    world.wait(200);
    world.die(1);
    world.wait(200);
    let next = world.newest();
    world.listens(next, 80);
    world.wait(59_000);
    world.now += Duration::from_secs(2);
    let effects = effects(&mut world, Supervisor::expire);
    assert_eq!(time_left(&effects, next), Some(Duration::from_secs(30)));
}

#[test]
fn a_process_that_does_not_end_does_not_hold_up_the_stop() {
    let stop = |it: &mut Supervisor, now| {
        it.stop(1, Duration::ZERO, Duration::from_secs(10), now);
    };
    let mut world = ready(2, 1);
    world.tell(stop);
    world.wait(0);
    world.coming.retain(|(_, worker, _)| *worker != 1);
    world.wait(15_500);
    assert!(world.answers.is_empty(), "it has the kill timeout as well");
    world.wait(1000);
    assert_eq!(world.answers[&1], Outcome::Done);
    assert_eq!(world.supervisor.state(), State::Stopped);
    assert!(world.programs.is_empty(), "recipes are forgotten");
}

#[test]
fn a_fork_that_does_not_return_does_not_hold_up_the_stop() {
    let mut world = World::new(options(1, 1, None), 7);
    world.coming.clear();
    world.tell(|it, now| it.stop(1, Duration::ZERO, Duration::from_secs(10), now));
    world.wait(17_000);
    assert_eq!(world.answers[&1], Outcome::Done);
    // It does after all.
    let effects = effects(&mut world, |it, _| it.started(1));
    assert_eq!(time_left(&effects, 1), Some(Duration::ZERO));
}

#[test]
fn a_worker_without_a_slot_that_comes_while_all_drain_drains_too() {
    let mut world = ready(1, 1);
    world.tell(|it, now| it.stop(1, Duration::ZERO, Duration::from_secs(10), now));
    world.wait(0);
    let effects = effects(&mut world, |it, _| it.started(77));
    let timeout = Duration::from_secs(10);
    assert!(
        effects.contains(&Effect::DrainOthers { timeout, reason: Reason::Stop }),
        "{effects:?}"
    );
}

#[test]
fn a_worker_that_hangs_gets_nothing_more_before_it_is_killed() {
    let mut world = ready(1, 1);
    let effects = effects(&mut world, |it, now| it.hangs(1, now));
    assert!(effects.contains(&Effect::Withhold(1)), "{effects:?}");
    assert!(!effects.contains(&Effect::Kill(1)));
}

#[test]
fn generations_that_have_failed_do_not_count_among_those_that_may_drain() {
    let mut world = ready(1, 1);
    // The first worker of the first generation drains for long.
    world.step(Step::Restart(0));
    world.wait(45);
    world.coming.retain(|(_, worker, _)| *worker != 1);
    for _ in 0..4 {
        world.reload(Program::ExitsAtStart);
        world.wait(2000);
    }
    assert!(world.processes.contains_key(&1));
    let cut = |world: &mut World| {
        let token = world.token();
        world.programs.insert(token, Program::Good);
        let effects = effects(world, |it, _| it.reload(token, token));
        time_left(&effects, 1)
    };
    assert_eq!(cut(&mut world), None);
}

#[test]
fn a_worker_that_has_reached_a_limit_serves_until_the_next_one_has_been_well() {
    let mut world = ready(2, 1);
    world.programs.insert(0, Program::DiesReady(50));
    world.tell(|it, now| it.uses(1, Some(2000), 0, now));
    world.wait(1000);
    assert_eq!(ids(&world), [1, 2]);
    assert!(world.reports.iter().any(|it| matches!(it, Report::BackOff { slot: 0, .. })));
    world.programs.insert(0, Program::Good);
    world.tell(|it, now| it.uses(1, Some(2000), 0, now));
    world.wait(3000);
    assert!(!ids(&world).contains(&1) && world.serving() == 2);
}

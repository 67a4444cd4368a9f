use super::{
    super::{
        report::{FailedPhase, Reason},
        simulation::options,
        status::SlotStatus,
    },
    *,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A service manager, and the time.
struct Told {
    notices: Notices,
    now: Instant,
    status: Status,
}

impl Told {
    fn new(watchdog: Option<Duration>) -> Self {
        Self::speaking(true, watchdog)
    }

    fn speaking(speaks: bool, watchdog: Option<Duration>) -> Self {
        let now = Instant::now();
        let slot = |slot| SlotStatus {
            slot,
            state: SlotState::Starting,
            worker: Some(slot + 1),
            generation: Some(1),
            ready_since: None,
            failures: 0,
            restarts: 0,
        };
        let status = Status {
            state: State::Starting,
            generation: 1,
            is_held: false,
            slots: vec![slot(0), slot(1)],
            leaving: Vec::new(),
            stops_by: None,
            blocked: Vec::new(),
            reloads: 0,
            failed_reloads: 0,
        };
        Self { notices: Notices::new(&options(2, 1, None), watchdog, speaks, now), now, status }
    }

    /// What is told after this change.
    fn after(&mut self, change: impl FnOnce(&mut Status), reports: &[Report]) -> Vec<Vec<Notice>> {
        change(&mut self.status);
        self.notices.observe(&self.status, self.now);
        for report in reports {
            self.notices.hear(report, self.now);
        }
        self.notices.take(self.now)
    }

    /// What is told when so much time has passed.
    fn later(&mut self, time: Duration) -> Vec<Vec<Notice>> {
        self.now += time;
        self.notices.take(self.now)
    }

    fn ready(&mut self) -> Vec<Vec<Notice>> {
        let change = |status: &mut Status| {
            for slot in &mut status.slots {
                slot.state = SlotState::Ready;
            }
        };
        self.after(change, &[Report::State(State::Ready), Report::Ready])
    }
}

fn line(text: &str) -> Notice {
    Notice::Status(text.into())
}

fn rejected() -> Report {
    let rejection = Rejection {
        cause: Cause::Exited(Ended::Code(3)),
        phase: FailedPhase::Start,
        worker: Some(3),
        slot: Some(0),
    };
    Report::Answer(1, Outcome::Rejected(rejection))
}

#[test]
fn the_start_is_extended_until_ready_and_no_longer_than_workers_may_take() {
    let mut told = Told::new(None);
    let starting = line("starting: 0 of 2 workers ready");
    assert_eq!(told.after(|_| {}, &[]), [[starting, Notice::Extend(seconds(35))]]);
    assert_eq!(told.later(seconds(9)), Vec::<Vec<Notice>>::new());
    assert_eq!(told.later(seconds(1)), [[Notice::Extend(seconds(35))]]);
    assert_eq!(told.later(seconds(30)), [[Notice::Extend(seconds(25))]]);
    assert_eq!(told.later(seconds(10)), [[Notice::Extend(seconds(15))]]);
    assert_eq!(told.notices.next_due(), None);
    let ready = line("2 workers ready, generation 1");
    assert_eq!(told.ready(), [[Notice::Ready, ready]]);
    assert_eq!(told.notices.next_due(), None);
}

#[test]
fn a_reload_is_told_at_its_start_and_its_end() {
    let mut told = Told::new(None);
    told.ready();
    let reloading = told.after(|_| {}, &[Report::State(State::Reloading)]);
    let status = line("reloading: 0 of 2 workers replaced");
    assert_eq!(reloading, [[Notice::Reloading, status, Notice::Extend(seconds(35))]]);
    let replaced = Report::Replaced { slot: 0, from: Some(1), to: 3, reason: Reason::Reload };
    let replacing = told.after(|status| status.slots[0].generation = Some(2), &[replaced]);
    assert_eq!(replacing, [[line("reloading: 1 of 2 workers replaced")]]);
    let change = |status: &mut Status| {
        status.generation = 2;
        status.slots[1].generation = Some(2);
    };
    let end = Report::Reloaded { generation: 2, time: seconds(1) };
    let done = told.after(change, &[Report::State(State::Ready), end]);
    assert_eq!(done, [[Notice::Ready, line("2 workers ready, generation 2")]]);
    assert_eq!(told.notices.next_due(), None);
}

#[test]
fn a_reload_that_is_rolled_back_ends_with_ready_and_the_reason_until_one_succeeds() {
    let mut told = Told::new(None);
    told.ready();
    told.after(|_| {}, &[Report::State(State::Reloading)]);
    let ended = told.after(|_| {}, &[Report::State(State::Ready), rejected()]);
    let why = "reload failed: worker 3 in slot 0 exited with code 3";
    let failed = format!("2 workers ready, generation 1; {why}");
    assert_eq!(ended, [[Notice::Ready, line(&failed)]]);
    // Of another operation.
    assert_eq!(told.after(|_| {}, &[rejected()]), Vec::<Vec<Notice>>::new());
    told.after(|_| {}, &[Report::State(State::Reloading)]);
    let end = Report::Reloaded { generation: 2, time: seconds(1) };
    let done = told.after(|it| it.generation = 2, &[Report::State(State::Ready), end]);
    assert_eq!(done[0][0], Notice::Ready);
    let Notice::Status(text) = &done[0][1] else { panic!("{done:?}") };
    assert!(!text.contains("failed"), "{text}");
}

#[test]
fn a_reload_without_a_recipe_begins_and_ends_at_once() {
    let mut told = Told::new(None);
    told.ready();
    told.notices.refuse_reload("no directory\nin two lines".into());
    let status = line("2 workers ready, generation 1; reload failed: no directory");
    assert_eq!(told.later(seconds(0)), [vec![Notice::Reloading], vec![Notice::Ready, status]]);
}

#[test]
fn reloads_that_follow_each_other_are_told_one_by_one() {
    let mut told = Told::new(None);
    told.ready();
    told.after(|_| {}, &[Report::State(State::Reloading)]);
    let end = Report::Reloaded { generation: 2, time: seconds(1) };
    assert_eq!(told.after(|_| {}, &[end]), [[Notice::Ready], [Notice::Reloading]]);
}

#[test]
fn before_the_first_workers_are_ready_there_is_no_reload() {
    let mut told = Told::new(None);
    let reloading = told.after(|_| {}, &[Report::State(State::Reloading)]);
    assert!(!reloading.concat().contains(&Notice::Reloading));
    let failed = told.after(|_| {}, &[Report::State(State::Failed), rejected()]);
    assert_eq!(failed, [[line("failed: all workers have failed too often")]]);
}

#[test]
fn the_stop_is_extended_as_long_as_workers_may_drain() {
    let mut told = Told::new(None);
    told.ready();
    let now = told.now;
    let announced = told.after(
        |status| status.stops_by = Some(now + seconds(40)),
        &[Report::State(State::Stopping)],
    );
    let status = line("stopping: 2 workers left");
    assert_eq!(announced, [[Notice::Stopping, status, Notice::Extend(seconds(35))]]);
    assert_eq!(told.later(seconds(10)), [[Notice::Extend(seconds(35))]]);
    // A shorter time.
    let shorter = now + seconds(18);
    told.after(|status| status.stops_by = Some(shorter), &[]);
    assert_eq!(told.later(seconds(10)), [[Notice::Extend(seconds(5))]]);
    assert_eq!(told.notices.next_due(), None);
    let gone = |status: &mut Status| {
        status.stops_by = None;
        status.slots.clear();
    };
    let stopped = told.after(gone, &[Report::State(State::Stopped)]);
    assert_eq!(stopped, [[line("stopped"), Notice::Extend(seconds(10))]]);
}

#[test]
fn the_watchdog_hears_of_the_engine_at_half_of_its_time_in_every_state() {
    let mut told = Told::new(Some(seconds(4)));
    assert!(told.ready().concat().contains(&Notice::Watchdog));
    for _ in 0..3 {
        assert_eq!(told.notices.next_due(), Some(told.now + seconds(2)));
        assert_eq!(told.later(seconds(2)), [[Notice::Watchdog]]);
    }
    told.after(|_| {}, &[Report::State(State::Stopping)]);
    assert_eq!(told.later(seconds(2)), [[Notice::Watchdog]]);
}

#[test]
fn a_primary_that_is_not_the_service_yet_says_nothing_and_then_all_at_once() {
    let mut told = Told::speaking(false, Some(seconds(4)));
    assert_eq!(told.after(|_| {}, &[]), Vec::<Vec<Notice>>::new());
    assert_eq!(told.ready(), Vec::<Vec<Notice>>::new());
    assert_eq!(told.notices.next_due(), None);
    assert_eq!(told.later(seconds(10)), Vec::<Vec<Notice>>::new());
    told.notices.speak(told.now);
    let ready = line("2 workers ready, generation 1");
    assert_eq!(told.later(seconds(0)), [[Notice::Ready, ready, Notice::Watchdog]]);
    assert_eq!(told.notices.next_due(), Some(told.now + seconds(2)));
    // Only once.
    told.notices.speak(told.now);
    assert_eq!(told.later(seconds(0)), Vec::<Vec<Notice>>::new());
}

#[test]
fn a_primary_that_hands_over_says_so_last() {
    for pid in [Some(77), None] {
        let mut told = Told::new(Some(seconds(4)));
        told.ready();
        told.notices.hand_over(pid);
        // The state has changed before that is told.
        let last = told.after(|_| {}, &[Report::State(State::Stopping)]);
        assert_eq!(last.concat(), pid.map(Notice::MainPid).into_iter().collect::<Vec<_>>());
        assert_eq!(told.notices.next_due(), None);
        assert_eq!(told.later(seconds(10)), Vec::<Vec<Notice>>::new());
        assert_eq!(told.after(|_| {}, &[Report::State(State::Stopped)]).len(), 0);
    }
}

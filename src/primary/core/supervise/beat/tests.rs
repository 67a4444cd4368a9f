//! A worker's event loop and a machine, played millisecond by millisecond.

use std::{cell::Cell, collections::VecDeque};

use proptest::prelude::*;

use super::*;

const INTERVAL: u64 = 250;
const DOUBT: u64 = 5_000;
const FOREVER: u64 = u64::MAX;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What a worker does, for a number of milliseconds.
#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Its loop sleeps in its poll.
    Nothing(u64),
    /// It runs, for so much processor time; in a callback of what was polled, or of a timer.
    Work { left: u64, is_polled: bool },
    /// It sleeps in a callback, or is stopped.
    Sleep { left: u64, is_polled: bool },
    /// Its main thread waits for another, which runs for so much processor time.
    Wait { left: u64, is_polled: bool },
}

impl Doing {
    fn left_mut(&mut self) -> &mut u64 {
        let (Nothing(left) | Work { left, .. } | Sleep { left, .. } | Wait { left, .. }) = self;
        left
    }

    /// How long it takes with a processor.
    fn time(mut self) -> u64 {
        *self.left_mut()
    }
}

use Doing::{Nothing, Sleep, Wait, Work};

struct Worker {
    counts_turns: bool,
    /// Whether it polls again before the engine reads its answer.
    is_fast: bool,
    beat: u64,
    todo: VecDeque<Doing>,
    /// In microseconds.
    main: u64,
    others: u64,
    is_probed: bool,
    has_answered: bool,
    begun: bool,
    /// How often something was asked that costs.
    asked: Cell<usize>,
    /// Since when the loop has not turned, in milliseconds, and how much of that it could have.
    blocked: u64,
}

impl Worker {
    fn new(todo: impl IntoIterator<Item = Doing>) -> Self {
        Self {
            counts_turns: true,
            is_fast: false,
            beat: 1,
            todo: todo.into_iter().collect(),
            main: 0,
            others: 0,
            is_probed: false,
            has_answered: false,
            begun: false,
            asked: Cell::new(0),
            blocked: 0,
        }
    }

    /// A millisecond goes by, with a processor for the worker or without.
    fn step(&mut self, has_processor: bool) {
        let Some(&doing) = self.todo.front() else {
            return self.poll(has_processor);
        };
        match doing {
            Nothing(_) => {}
            Work { is_polled, .. } | Sleep { is_polled, .. } | Wait { is_polled, .. } => {
                // To wake takes some processor time.
                if !std::mem::replace(&mut self.begun, true) {
                    self.main += 50;
                    self.beat += u64::from(!is_polled);
                }
            }
        }
        let (main, others) = match doing {
            Work { .. } => (u64::from(has_processor), 0),
            Wait { .. } => (0, u64::from(has_processor)),
            Nothing(_) | Sleep { .. } => (0, 0),
        };
        self.main += main * 1000;
        self.others += others * 1000;
        let goes_on = main + others > 0 || matches!(doing, Nothing(_) | Sleep { .. });
        if goes_on {
            self.blocked += 1;
        }
        if matches!(doing, Nothing(_)) {
            self.blocked = 0;
        }
        let left = self.todo.front_mut().map(Doing::left_mut);
        let is_over = left.is_some_and(|left| {
            *left -= u64::from(goes_on);
            *left == 0
        });
        if matches!(doing, Nothing(_)) {
            self.poll(has_processor);
        }
        if is_over {
            self.todo.pop_front();
            if std::mem::take(&mut self.begun) {
                self.turn();
                self.poll(true);
            }
        }
    }

    /// It polls again.
    fn turn(&mut self) {
        self.beat += if is_odd(Some(self.beat)) { 2 } else { 1 };
        self.blocked = 0;
    }

    /// It answers, if it is asked.
    fn poll(&mut self, has_processor: bool) {
        self.blocked = 0;
        if has_processor && std::mem::take(&mut self.is_probed) {
            self.has_answered = true;
            self.main += 100;
        }
    }
}

impl Vitals for Worker {
    fn beat(&self) -> Option<u64> {
        self.counts_turns.then_some(self.beat)
    }

    fn processor_time(&self) -> Option<Duration> {
        self.asked.set(self.asked.get() + 1);
        Some(Duration::from_micros(self.main + self.others))
    }

    fn load(&self) -> Option<Load> {
        self.asked.set(self.asked.get() + 1);
        Some(Load {
            main: Duration::from_micros(self.main),
            all: Duration::from_micros(self.main + self.others),
            is_runnable: matches!(self.todo.front(), Some(Work { .. })),
            may_wait_for_thread: matches!(self.todo.front(), Some(Wait { .. })),
        })
    }
}

/// What a worker was found to be.
#[derive(Debug, Default)]
struct Run {
    probes: usize,
    /// By the millisecond.
    blocked: Vec<(u64, u64)>,
}

impl Run {
    /// When it was found that the worker had been blocked for so long.
    fn found(&self, counted: u64) -> Option<u64> {
        self.blocked.iter().find(|(_, it)| *it >= counted).map(|(at, _)| *at)
    }

    fn longest(&self) -> u64 {
        self.blocked.iter().map(|(_, counted)| *counted).max().unwrap_or(0)
    }
}

struct Machine {
    /// Whether the worker has a processor in this millisecond, if it wants one.
    has_processor: fn(u64) -> bool,
    /// Whether the engine runs in this millisecond.
    engine_runs: fn(u64) -> bool,
}

const FREE: Machine = Machine { has_processor: |_| true, engine_runs: |_| true };

impl Machine {
    /// Runs a worker for a time, and looks at it.
    fn run(&self, worker: &mut Worker, time: u64) -> Run {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let (mut run, mut next, mut soon) = (Run::default(), INTERVAL, None);
        for at in 1..=time {
            worker.step((self.has_processor)(at));
            if !(self.engine_runs)(at) {
                continue;
            }
            // A look comes before what else has come in the same turn of the engine.
            let is_due = at >= next || soon.is_some_and(|soon| at >= soon);
            if is_due {
                if at >= next {
                    next = at + INTERVAL;
                }
                soon = None;
                let now = start + ms(at);
                match pulse.look(worker, ms(INTERVAL), ms(DOUBT), now) {
                    Finding::Well => {}
                    Finding::Unknown => {
                        run.probes += 1;
                        worker.is_probed = true;
                    }
                    Finding::Blocked(counted) => {
                        run.blocked.push((at, counted.as_millis() as u64));
                    }
                }
            }
            if std::mem::take(&mut worker.has_answered) {
                // The turn in which it answers ends.
                if worker.is_fast {
                    worker.turn();
                }
                if pulse.answered(worker) {
                    soon = Some(at + 5);
                }
                if !worker.is_fast {
                    worker.turn();
                }
            }
        }
        run
    }
}

/// A worker that serves a request of so much processor time after each so much time.
fn serving(work: u64, pause: u64, time: u64) -> impl Iterator<Item = Doing> {
    let count = (time / (work + pause)) as usize;
    [Work { left: work, is_polled: true }, Nothing(pause)].into_iter().cycle().take(count * 2)
}

#[test]
fn a_worker_that_sleeps_is_asked_no_more_than_once_in_five_seconds() {
    for (is_fast, counts_turns) in [(false, true), (true, true), (false, false)] {
        let mut worker = Worker { is_fast, counts_turns, ..Worker::new([]) };
        let run = FREE.run(&mut worker, 60_000);
        assert_eq!(run.blocked, []);
        assert!((11..=14).contains(&run.probes), "{}", run.probes);
    }
}

#[test]
fn a_worker_that_turns_costs_nothing() {
    let mut worker = Worker::new(serving(5, 5, 60_000));
    let run = FREE.run(&mut worker, 59_000);
    assert_eq!((run.probes, run.longest(), worker.asked.get()), (0, 0, 0));
}

#[test]
fn a_worker_that_is_blocked_is_found_in_time() {
    let blocks = |left, is_polled| {
        [Work { left, is_polled }, Sleep { left, is_polled }, Wait { left, is_polled }]
    };
    for doing in blocks(FOREVER, true).into_iter().chain(blocks(FOREVER, false)) {
        for before in [0, 3000] {
            for (work, pause) in [(5, 5), (5, 600), (200, 1)] {
                for (counts_turns, is_fast) in [(true, false), (true, true), (false, false)] {
                    let todo = serving(work, pause, 10_000).chain([Nothing(before + 1), doing]);
                    let mut worker = Worker { counts_turns, is_fast, ..Worker::new(todo) };
                    let run = FREE.run(&mut worker, 20_000);
                    let begun = 20_000 - worker.blocked;
                    let found = run.found(2_000).unwrap_or(u64::MAX);
                    let case = (doing, before, work, pause, counts_turns);
                    // Without a beat, one that sleeps in a callback may be taken for one that polls.
                    let doubt = if counts_turns { 0 } else { DOUBT };
                    assert!(
                        found <= begun + 2_000 + 3 * INTERVAL + doubt,
                        "{case:?} {begun} {found}"
                    );
                    assert!(found >= begun + 2_000, "{case:?} {begun} {found}");
                }
            }
        }
    }
}

#[test]
fn a_worker_that_waits_for_a_processor_is_not_blocked() {
    // One of four that want one, in slices; 10 ms of each 100 ms.
    for share in [(|at| at / 30 % 4 == 0) as fn(u64) -> bool, |at| at % 100 < 10] {
        let machine = Machine { has_processor: share, ..FREE };
        // Takes 2 s with four, and 5 s with 10 %.
        let mut worker = Worker::new(serving(500, 1, 60_000));
        let run = machine.run(&mut worker, 60_000);
        assert!(run.longest() <= 500 + 20, "{}", run.longest());
        let mut worker = Worker::new([Work { left: FOREVER, is_polled: true }]);
        let run = machine.run(&mut worker, 60_000);
        let had = worker.main / 1000;
        assert!(run.longest() <= had && run.longest() + INTERVAL >= had, "{} {had}", run.longest());
    }
}

#[test]
fn a_garbage_collection_counts_as_the_processor_time_that_it_takes() {
    for helped in [Wait { left: 5000, is_polled: true }, Work { left: 5000, is_polled: true }] {
        for (share, most) in [((|_| true) as fn(u64) -> bool, 5000), (|at| at % 10 == 0, 5000)] {
            let mut worker = Worker::new([helped]);
            let run = Machine { has_processor: share, ..FREE }.run(&mut worker, 55_000);
            assert!((1000..=most).contains(&run.longest()), "{helped:?} {}", run.longest());
        }
    }
}

#[test]
fn time_in_which_the_engine_does_not_run_is_not_counted() {
    let machine = Machine { engine_runs: |at| !(3_000..13_000).contains(&at), ..FREE };
    for is_polled in [true, false] {
        let mut worker = Worker::new([Nothing(2_500), Sleep { left: FOREVER, is_polled }]);
        let run = machine.run(&mut worker, 14_000);
        assert!(run.longest() <= 1_000 + 3 * INTERVAL, "{}", run.longest());
        // A worker that has answered meanwhile.
        let todo = [Nothing(2_500), Sleep { left: 500, is_polled }, Nothing(5_000)];
        for counts_turns in [true, false] {
            let mut worker = Worker { counts_turns, ..Worker::new(todo) };
            let run = machine.run(&mut worker, 14_000);
            assert!(run.found(300).is_none(), "{:?}", run.blocked);
        }
    }
}

#[test]
fn an_engine_that_looks_late_again_and_again_still_finds_what_hangs() {
    let machine = Machine { engine_runs: |at| at % 700 < 10, ..FREE };
    let mut worker = Worker::new([Nothing(1_000), Work { left: FOREVER, is_polled: true }]);
    assert!(machine.run(&mut worker, 20_000).found(2_000).is_some());
}

#[test]
fn a_worker_whose_time_is_forgiven_is_counted_anew() {
    let worker = Worker::new([Work { left: FOREVER, is_polled: true }]);
    let start = Instant::now();
    let mut pulse = Pulse::new(start);
    let look = |pulse: &mut Pulse, count: u64| {
        pulse.look(&worker, ms(INTERVAL), ms(DOUBT), start + ms(count * INTERVAL))
    };
    assert_eq!(look(&mut pulse, 1), Finding::Well);
    assert_eq!(look(&mut pulse, 2), Finding::Unknown);
    pulse.forgive();
    assert_eq!(pulse.blocked(), Some(Duration::ZERO));
}

fn doing() -> impl Strategy<Value = Doing> {
    let time = prop_oneof![1..20u64, 100..600u64, 1_000..4_000u64];
    (time, any::<bool>(), 0..4).prop_map(|(left, is_polled, kind)| match kind {
        0 => Nothing(left),
        1 => Work { left, is_polled },
        2 => Sleep { left, is_polled },
        _ => Wait { left, is_polled },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn never_is_more_counted_than_a_worker_could_have_turned(
        todo in prop::collection::vec(doing(), 1..40),
        counts_turns in any::<bool>(),
        is_fast in any::<bool>(),
        share in 0..3usize,
    ) {
        let has_processor = [|_| true, |at| at / 30 % 4 == 0, |at| at % 100 < 10][share];
        let machine = Machine { has_processor, ..FREE };
        let blocked = todo.iter().filter(|doing| !matches!(doing, Nothing(_)));
        let longest = blocked.map(|doing| doing.time()).max().unwrap_or(0);
        let mut worker = Worker { counts_turns, is_fast, ..Worker::new(todo) };
        let run = machine.run(&mut worker, 60_000);
        prop_assert!(run.longest() <= longest + 2 * INTERVAL, "{} {longest}", run.longest());
    }

    #[test]
    fn whatever_a_worker_has_done_it_is_found_when_it_hangs(
        todo in prop::collection::vec(doing(), 0..20),
        is_polled in any::<bool>(),
        kind in 0..3usize,
        counts_turns in any::<bool>(),
        is_fast in any::<bool>(),
    ) {
        let left = FOREVER;
        let last = [Work { left, is_polled }, Sleep { left, is_polled }, Wait { left, is_polled }];
        let time: u64 = todo.iter().map(|doing| doing.time()).sum();
        let mut worker =
            Worker { counts_turns, is_fast, ..Worker::new(todo.into_iter().chain([last[kind]])) };
        let time = time + DOUBT + 5_000;
        let run = FREE.run(&mut worker, time);
        // Asked after some doubt at the latest.
        prop_assert!(run.found(2_000).is_some(), "{run:?}");
    }
}

use std::cell::Cell;

use super::*;

/// A process that a test plays, and how often it is asked.
struct Played {
    spent: Cell<u64>,
    is_runnable: Cell<bool>,
    may_wait_for_thread: Cell<bool>,
    loads: Cell<usize>,
    start: Instant,
}

impl Played {
    fn new(is_runnable: bool) -> Self {
        Self {
            spent: Cell::new(7),
            is_runnable: Cell::new(is_runnable),
            may_wait_for_thread: Cell::new(false),
            loads: Cell::new(0),
            start: Instant::now(),
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Looks every 2 ms. Says when the suspicion is confirmed, if it is in this time.
    fn confirmed(&self, until: u64, step: impl Fn(u64)) -> Option<u64> {
        let mut suspicion = Suspicion::new(self, self.at(0));
        (2..=until).step_by(2).find(|&millis| {
            step(millis);
            suspicion = suspicion.confirm(self, &mut 1, self.at(millis));
            suspicion.confirmed
        })
    }
}

impl Suspect for Played {
    fn processor_time(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.spent.get()))
    }

    fn main_time(&self) -> Option<Duration> {
        self.processor_time()
    }

    fn load(&self) -> Option<Load> {
        self.loads.set(self.loads.get() + 1);
        let time = Duration::from_millis(self.spent.get());
        Some(Load {
            main: time,
            all: time,
            is_runnable: self.is_runnable.get(),
            may_wait_for_thread: self.may_wait_for_thread.get(),
        })
    }
}

#[test]
fn one_that_sleeps_is_stuck_after_5_ms_and_one_look_at_its_threads() {
    let played = Played::new(false);
    assert_eq!((played.confirmed(100, |_| {}), played.loads.get()), (Some(6), 1));
}

#[test]
fn one_that_runs_is_stuck_after_5_ms() {
    let played = Played::new(true);
    assert_eq!(played.confirmed(100, |_| played.spent.set(played.spent.get() + 2)), Some(6));
}

#[test]
fn one_that_waits_for_a_processor_is_not_stuck_and_its_threads_are_looked_at_once() {
    let played = Played::new(true);
    assert_eq!((played.confirmed(1000, |_| {}), played.loads.get()), (None, 1));
}

#[test]
fn one_that_wakes_before_it_is_confirmed_waits_for_a_processor() {
    let played = Played::new(false);
    let wakes = |millis| played.is_runnable.set(millis >= 4);
    assert_eq!((played.confirmed(1000, wakes), played.loads.get()), (None, 1));
}

#[test]
fn one_that_waits_for_its_own_thread_is_stuck_after_20_ms() {
    let played = Played::new(false);
    played.may_wait_for_thread.set(true);
    assert_eq!((played.confirmed(100, |_| {}), played.loads.get()), (Some(20), 2));
    let wakes = |millis| played.is_runnable.set(millis >= 10);
    assert_eq!(played.confirmed(1000, wakes), None);
}

#[test]
fn without_a_look_left_the_suspicion_waits() {
    let played = Played::new(false);
    let suspicion = Suspicion::new(&played, played.at(0));
    let waits = suspicion.confirm(&played, &mut 0, played.at(6));
    assert!(!waits.confirmed && played.loads.get() == 0);
    let mut loads = 1;
    assert!(waits.confirm(&played, &mut loads, played.at(8)).confirmed && loads == 0);
}

#[test]
fn where_the_kernel_says_nothing_for_5_ms_one_counts_as_asleep() {
    struct Unknown;
    impl Suspect for Unknown {
        fn processor_time(&self) -> Option<Duration> {
            None
        }
        fn main_time(&self) -> Option<Duration> {
            None
        }
        fn load(&self) -> Option<Load> {
            None
        }
    }
    let start = Instant::now();
    let later = |millis| start + Duration::from_millis(millis);
    let suspicion = Suspicion::new(&Unknown, start).confirm(&Unknown, &mut 1, later(6));
    assert!(!suspicion.confirmed, "one failed look shows nothing");
    assert!(suspicion.confirm(&Unknown, &mut 1, later(12)).confirmed);
}

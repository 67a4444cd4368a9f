//! Supervised workers whose event loops are looked at.

use super::{
    super::supervise::{
        options::{ReadyWhen, SuperviseOptions},
        report::Report,
        supervisor::Supervisor,
    },
    *,
};
use crate::primary::core::driver::EndSignal;

const STACK: &str = "at f (/a.js:3:4)\n";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// One supervised worker, which is ready, and its successor, which starts when that is wanted.
struct Program {
    simulation: Simulation,
    lanes: Rc<MemoryLanes>,
    reports: Rc<std::cell::RefCell<Vec<Report>>>,
    start: Instant,
}

impl Program {
    fn start(hung: u64, blocked: u64) -> Self {
        let options = SuperviseOptions {
            workers: 1,
            ready_when: ReadyWhen::Ready,
            ready_timeout: ms(60_000),
            min_uptime: ms(0),
            max_surge: 1,
            drain_timeout: ms(60_000),
            shutdown_delay: Duration::ZERO,
            kill_timeout: ms(1_000),
            hands_over: true,
            max_generations: 3,
            restart_delay: ms(100),
            max_restart_delay: ms(1_000),
            max_restarts: None,
            hung_timeout: Some(ms(hung)).filter(|it| !it.is_zero()),
            blocked_timeout: Some(ms(blocked)).filter(|it| !it.is_zero()),
            max_memory: None,
            max_age: None,
            max_requests: None,
            jitter: 0.0,
            seed: 1,
        };
        let mut simulation = Simulation::new(Scheduling::RoundRobin);
        let mut ids = 0;
        let next_id = move || {
            ids += 1;
            ids
        };
        let reports = Rc::clone(&simulation.core.driver.reports);
        let supervisor = Supervisor::new(options, 0, Box::new(next_id));
        let now = simulation.now;
        simulation.core.begin_supervision(supervisor, now);
        let mut program = Self {
            lanes: MemoryLanes::new(0, &simulation.clients),
            simulation,
            reports,
            start: now,
        };
        program.lanes = program.fork();
        program
    }

    /// The worker that was ordered last has been started, and is ready.
    fn fork(&mut self) -> Rc<MemoryLanes> {
        let id = self.simulation.fork();
        let now = self.simulation.now;
        self.simulation.core.supervise(now, |it| it.started(id));
        self.simulation.core.supervise(now, |it| it.says_ready(id, now));
        let lanes = Rc::clone(&self.simulation.workers[&id].lanes);
        lanes.beat.set(Some(1));
        lanes
    }

    /// Time passes, with the event loop blocked or not: in that case it answers.
    fn pass(&mut self, milliseconds: u64, is_blocked: bool) {
        let end = self.simulation.now + ms(milliseconds);
        while let Some(next) = self.simulation.core.next_deadline().filter(|next| *next <= end) {
            self.simulation.now = next.max(self.simulation.now);
            let now = self.simulation.now;
            if !is_blocked {
                self.lanes.beat.set(self.lanes.beat.get().map(|beat| beat + 2));
            }
            self.simulation.core.expire(now);
            let is_probed = || {
                let mut messages = self.lanes.messages.borrow_mut();
                messages.iter().any(|(it, _)| matches!(it, ToWorker::Probe)) && {
                    messages.clear();
                    true
                }
            };
            if !is_blocked && is_probed() {
                self.simulation.core.answered(1, now);
            }
        }
        self.simulation.now = end;
    }

    fn tell_stack(&mut self, stack: Option<&str>) {
        let now = self.simulation.now;
        self.simulation.core.has_stack(1, stack.map(Into::into), now);
    }

    /// What has been reported of event loops, with the stack, since the last call.
    fn take_reports(&self) -> Vec<(&'static str, u64, Option<String>)> {
        let reports = std::mem::take(&mut *self.reports.borrow_mut());
        let of_loops = reports.into_iter().filter_map(|report| match report {
            Report::Hung { time, stack, .. } => Some(("hung", time, stack)),
            Report::Blocked { time, stack, .. } => Some(("blocked", time, stack)),
            _ => None,
        });
        of_loops.map(|(what, time, stack)| (what, time.as_millis() as u64, stack)).collect()
    }

    fn is_killed(&self) -> bool {
        self.lanes.signals.borrow().contains(&EndSignal::Kill)
    }

    fn time(&self) -> u64 {
        (self.simulation.now - self.start).as_millis() as u64
    }
}

#[test]
fn a_worker_that_hangs_is_killed_once_another_is_ready() {
    let mut program = Program::start(2_000, 0);
    program.lanes.asked.set(Some(0));
    program.pass(10_000, false);
    assert_eq!(program.lanes.asked.get(), Some(0));
    program.pass(1_500, true);
    assert_eq!(program.lanes.asked.get(), Some(1), "in time");
    program.tell_stack(Some(STACK));
    program.pass(1_000, true);
    assert!(program.time() <= 10_000 + 3_000);
    let reports = program.take_reports();
    assert_eq!(reports, [("hung", 2_000, Some(STACK.trim().to_owned()))]);
    assert!(!program.is_killed());
    program.fork();
    assert!(program.is_killed());
    program.pass(1_000, true);
    assert_eq!(program.take_reports(), []);
}

#[test]
fn a_worker_that_tells_no_stack_hangs_as_well() {
    for may_be_asked in [true, false] {
        let mut program = Program::start(2_000, 0);
        program.lanes.asked.set(may_be_asked.then_some(0));
        program.pass(3_000, true);
        assert_eq!(program.take_reports(), [("hung", 2_000, None)]);
        // It comes too late.
        program.tell_stack(Some(STACK));
        program.pass(3_000, true);
        assert_eq!(program.take_reports(), []);
    }
}

#[test]
fn a_worker_with_an_inspector_is_not_judged_until_that_is_gone() {
    let mut program = Program::start(1_000, 200);
    program.lanes.is_inspected.set(true);
    program.pass(10_000, true);
    assert_eq!(program.take_reports(), []);
    program.lanes.is_inspected.set(false);
    program.pass(3_000, true);
    let reports = program.take_reports();
    assert_eq!(reports.last().map(|(what, ..)| *what), Some("hung"));
}

#[test]
fn the_time_at_a_breakpoint_counts_for_nothing_once_the_debugger_has_left() {
    for at in (3_000..5_000).step_by(50) {
        let mut program = Program::start(1_000, 0);
        program.lanes.is_inspected.set(true);
        program.pass(at, true);
        program.lanes.is_inspected.set(false);
        program.pass(900, true);
        assert_eq!(program.take_reports(), [], "left after {at} ms");
        program.pass(2_500, true);
        assert_eq!(program.take_reports().len(), 1, "left after {at} ms");
    }
}

#[test]
fn a_blocked_worker_is_reported_at_most_once_a_second_with_a_new_stack() {
    let mut program = Program::start(0, 200);
    program.lanes.asked.set(Some(0));
    let mut reports = Vec::new();
    for _ in 0..400 {
        let asked = program.lanes.asked.get();
        program.pass(10, true);
        if program.lanes.asked.get() > asked {
            program.tell_stack(Some(STACK));
        }
        reports.extend(program.take_reports());
    }
    assert!((3..=5).contains(&reports.len()), "{reports:?}");
    assert!(reports.iter().all(|(_, _, stack)| stack.is_some()), "{reports:?}");
    let times: Vec<_> = reports.iter().map(|(_, time, _)| *time).collect();
    assert!(times[0] >= 200 && times[0] <= 400, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{times:?}");
    let places = program.simulation.core.looks.places.clone();
    assert_eq!(places.len(), 1);
    assert_eq!((places[0].at.as_str(), places[0].count), ("/a.js:3", reports.len() as u64));
}

#[test]
fn a_worker_that_hangs_right_after_a_report_has_the_stack_of_that() {
    let mut program = Program::start(1_300, 200);
    program.lanes.asked.set(Some(0));
    let mut reports: Vec<(&str, u64, Option<String>)> = Vec::new();
    while reports.last().is_none_or(|(what, ..)| *what != "hung") {
        let asked = program.lanes.asked.get();
        program.pass(10, true);
        if program.lanes.asked.get() > asked && reports.len() < 2 {
            program.tell_stack(Some(STACK));
        }
        reports.extend(program.take_reports());
        assert!(program.time() < 10_000);
    }
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert!(reports.iter().all(|(_, _, stack)| stack.as_deref() == Some(STACK.trim())));
}

#[test]
fn a_worker_that_turns_again_is_not_reported() {
    let mut program = Program::start(2_000, 1_000);
    for _ in 0..20 {
        program.pass(900, true);
        program.pass(600, false);
    }
    assert_eq!(program.take_reports(), []);
}

#[test]
fn without_timeouts_workers_are_not_looked_at() {
    let mut program = Program::start(0, 0);
    program.pass(60_000, true);
    assert_eq!(program.take_reports(), []);
    let messages = program.lanes.messages.borrow();
    assert!(!messages.iter().any(|(it, _)| *it == ToWorker::Probe));
}

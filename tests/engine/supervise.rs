//! Supervised workers, played by the shell. They say that they are ready by a packet of the control socket.

use std::ffi::CString;

use rs_cluster::primary::{
    Order, RunOptions,
    operator::identity,
    options::{ReadyWhen, SuperviseOptions},
    recipe::Recipe,
    report::{Cause, Ended, FailedPhase, Outcome, Reason, Report, State},
};

use super::{shell::shell, *};

const READY: &str = "printf '{\"act\":\"ready\"}' >&4;";

const SOON: Duration = Duration::from_millis(20);

pub(super) fn options(workers: u32) -> SuperviseOptions {
    SuperviseOptions {
        workers,
        ready_when: ReadyWhen::Ready,
        ready_timeout: DEADLINE,
        min_uptime: SOON,
        max_surge: 1,
        drain_timeout: DEADLINE,
        shutdown_delay: Duration::ZERO,
        kill_timeout: DEADLINE,
        hands_over: true,
        max_generations: 3,
        restart_delay: SOON,
        max_restart_delay: DEADLINE,
        max_restarts: None,
        hung_timeout: None,
        blocked_timeout: None,
        max_memory: None,
        max_age: None,
        max_requests: None,
        jitter: 0.0,
        seed: 1,
    }
}

/// A worker that is ready at once, and runs until it is told to end.
pub(super) fn good() -> Recipe {
    shell(&format!("{READY} exec sleep 60"))
}

/// What the program hears, and what it keeps of it.
pub(super) struct Program {
    pub(super) primary: Primary,
    pub(super) processes: Vec<(WorkerId, Arc<exit::Process>)>,
}

impl Program {
    fn supervise(options: SuperviseOptions, recipe: Recipe) -> Self {
        Self::supervise_by(Scheduling::RoundRobin, options, recipe)
    }

    pub(super) fn supervise_by(
        scheduling: Scheduling,
        options: SuperviseOptions,
        recipe: Recipe,
    ) -> Self {
        let mut primary = Primary::start(scheduling);
        let program = identity::Program { name: "program".into(), node: "none".into() };
        let run = RunOptions::default();
        primary.engine.supervise(options, run, recipe, program).expect("a running engine");
        Self { primary, processes: Vec::new() }
    }

    /// The next event that `pick` wants.
    pub(super) fn hear<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.primary.event();
            if let Event::Started { worker, process, .. } = &event {
                self.processes.push((*worker, Arc::clone(process)));
            }
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    }

    pub(super) fn report<T>(&mut self, pick: impl Fn(&Report) -> Option<T>) -> T {
        self.hear(|event| match event {
            Event::Report { report, .. } => pick(report),
            _ => None,
        })
    }

    pub(super) fn until_ready(&mut self) {
        self.report(|report| (*report == Report::Ready).then_some(()));
    }

    pub(super) fn order(&self, order: Order) {
        self.primary.command(Command::Supervision(order));
    }

    pub(super) fn stop(&mut self) {
        self.order(Order::Stop { token: 99, delay: Duration::ZERO, timeout: DEADLINE });
        let done = Report::Answer(99, Outcome::Done);
        self.report(|report| (*report == done).then_some(()));
        for (worker, process) in &self.processes {
            assert!(process.status().is_ok_and(|it| it.is_some()), "worker {worker} has ended");
        }
    }
}

#[test]
fn a_worker_that_dies_is_replaced_after_the_back_off() {
    let mut program = Program::supervise(options(2), good());
    program.until_ready();
    let (first, process) = program.processes[0].clone();
    process.signal(libc::SIGKILL).expect("a running process");
    let exited = program.hear(|event| match event {
        Event::Exited { worker, exit, .. } => Some((*worker, *exit)),
        Event::Report { report: Report::BackOff { .. }, .. } => panic!("the exit comes first"),
        _ => None,
    });
    assert_eq!(exited, (first, Some(Exit::Signal(libc::SIGKILL))));
    let (delay, failures) = program.report(|report| match report {
        Report::BackOff { delay, failures, .. } => Some((*delay, *failures)),
        _ => None,
    });
    assert_eq!(failures, 1);
    assert!((SOON.mul_f64(0.8)..=SOON.mul_f64(1.2)).contains(&delay), "{delay:?}");
    let replaced = program.report(|report| match report {
        Report::Replaced { from, to, reason, .. } => Some((*from, *to, *reason)),
        _ => None,
    });
    assert_eq!(replaced, (Some(first), 3, Reason::Crash));
    program.stop();
    let snapshot = program.primary.engine.snapshot().expect("a status");
    assert_eq!(snapshot.status.state, State::Stopped);
    assert!(snapshot.processes.is_empty());
    assert_eq!(program.primary.engine.readiness(), Err("stopped"));
}

#[test]
fn a_program_that_cannot_be_started_is_tried_again_and_can_be_stopped() {
    let missing = Recipe { file: CString::new("/no/such/file").expect("a text"), ..shell("") };
    let mut program = Program::supervise(options(1), missing);
    let failures = [(); 3].map(|()| {
        program.hear(|event| match event {
            Event::Report { report: Report::BackOff { failures, .. }, .. } => Some(*failures),
            Event::Started { .. } | Event::Exited { .. } => panic!("nothing was started"),
            _ => None,
        })
    });
    assert_eq!(failures, [1, 2, 3]);
    program.order(Order::Reload(7, Arc::new(good())));
    let outcome = program.report(|report| match report {
        Report::Answer(7, outcome) => Some(outcome.clone()),
        _ => None,
    });
    assert!(matches!(outcome, Outcome::Reloaded(2, _)), "{outcome:?}");
    program.stop();
}

#[test]
fn a_reload_that_fails_tells_what_the_worker_wrote_and_leaves_the_others_alone() {
    // The canary fails while it is on trial.
    let options = SuperviseOptions { min_uptime: Duration::from_secs(2), ..options(2) };
    let mut program = Program::supervise(options, good());
    program.until_ready();
    let before = program.processes.clone();
    for (token, recipe, phase) in [
        (1, shell("echo no database >&2; exit 3"), FailedPhase::Start),
        (2, shell(&format!("{READY} echo no database >&2; exit 3")), FailedPhase::Canary),
    ] {
        program.order(Order::Reload(token, Arc::new(recipe)));
        let (rejection, stderr) = program.hear(|event| match event {
            Event::Report { report: Report::Answer(_, Outcome::Rejected(it)), stderr } => {
                Some((it.clone(), stderr.clone()))
            }
            _ => None,
        });
        assert_eq!(rejection.cause, Cause::Exited(Ended::Code(3)));
        assert!(rejection.phase == phase || token == 2, "{rejection:?}");
        assert_eq!(stderr.as_deref(), Some("no database\n"));
    }
    for (worker, process) in before {
        assert_eq!(process.status().expect("a child"), None, "worker {worker} runs");
    }
    program.stop();
}

#[test]
fn a_worker_that_ignores_the_signal_is_killed_when_its_time_is_over() {
    let stubborn = shell(&format!("trap '' TERM; {READY} while :; do sleep 60; done"));
    let options = SuperviseOptions { kill_timeout: SOON, ..options(1) };
    let mut program = Program::supervise(options, stubborn);
    program.until_ready();
    program.order(Order::Stop { token: 1, delay: Duration::ZERO, timeout: SOON });
    let exit = program.hear(|event| match event {
        Event::Exited { exit, .. } => Some(*exit),
        _ => None,
    });
    assert_eq!(exit, Some(Exit::Signal(libc::SIGKILL)));
    program.report(|report| (*report == Report::Stopped).then_some(()));
}

#[test]
fn a_worker_that_breaks_the_protocol_is_replaced_and_ended() {
    let broken = "[ \"$NODE_UNIQUE_ID\" = 1 ] && printf garbage >&4;";
    let recipe = shell(&format!("{READY} {broken} exec sleep 60"));
    let mut program = Program::supervise(options(1), recipe);
    program.hear(|event| matches!(event, Event::Faulted { worker: 1, .. }).then_some(()));
    let to = program.report(|report| match report {
        Report::Replaced { to, reason: Reason::Crash, .. } => Some(*to),
        _ => None,
    });
    assert_eq!(to, 2);
    program.hear(|event| matches!(event, Event::Exited { worker: 1, .. }).then_some(()));
    program.stop();
}

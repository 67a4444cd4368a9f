//! Another primary takes over, or fails to.

use std::{
    ffi::CString,
    io::{BufRead, BufReader, Write},
};

use rs_cluster::primary::{
    Order,
    primary_recipe::PrimaryRecipe,
    report::{Cause, Ended, FailedPhase, Outcome, Reason, Rejection, Report, State},
};

use super::{
    successor::{NAME, PLAY, SUCCESSOR},
    supervise::{Program, good, options},
    *,
};

const TOKEN: u32 = 7;

/// A primary that plays its part, at the other end of a stream.
struct Part {
    stream: BufReader<UnixStream>,
}

impl Part {
    fn line(&mut self) -> String {
        if self.stream.buffer().is_empty() {
            wait_readable(self.stream.get_ref().as_fd());
        }
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a stream");
        line.trim_end().to_owned()
    }

    /// Lets it go on.
    fn go_on(&mut self) {
        self.stream.get_mut().write_all(b"x").expect("a stream");
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("a text")
}

/// This test's own program, as a primary that plays this.
fn recipe(play: &str, stream: &UnixStream) -> PrimaryRecipe {
    let file = std::env::current_exe().expect("a program");
    let args = ["engine", NAME, "--exact", "--ignored", "--nocapture", "--quiet"];
    PrimaryRecipe {
        file: c(&file.to_string_lossy()),
        args: args.map(c).to_vec(),
        env: vec![c("PATH=/usr/bin:/bin"), c(&format!("{PLAY}={play}"))],
        cwd: None,
        stdio: vec![-2, -2, 2, stream.as_raw_fd()],
    }
}

impl Program {
    /// One worker that is started by the engine.
    fn of_one(scheduling: Scheduling) -> Self {
        let mut program = Self::supervise_by(scheduling, options(1), good());
        program.until_ready();
        program
    }

    /// A further worker, played by the test.
    fn worker(&self) -> Worker {
        self.primary.worker(self.primary.engine.next_id())
    }

    /// Has another primary take over that plays this after it has told that it is there.
    fn upgrade(&self, play: &str) -> Part {
        self.upgrade_within(DEADLINE, play)
    }

    fn upgrade_within(&self, timeout: Duration, play: &str) -> Part {
        let (ours, theirs) = UnixStream::pair().expect("a stream");
        let recipe = recipe(&format!("tell {play}"), &theirs);
        self.order(Order::Upgrade(TOKEN, Arc::new(recipe), timeout));
        let mut part = Part { stream: BufReader::new(ours) };
        assert_eq!(part.line(), "here");
        part
    }

    fn outcome(&mut self) -> Outcome {
        self.report(|report| match report {
            Report::Answer(TOKEN, outcome) => Some(outcome.clone()),
            _ => None,
        })
    }

    fn rejection(&mut self) -> Rejection {
        match self.outcome() {
            Outcome::Rejected(rejection) => rejection,
            other => panic!("{other:?}"),
        }
    }

    fn until_upgraded(&mut self) {
        let outcome = self.outcome();
        assert!(matches!(outcome, Outcome::Upgraded { generation: 2, .. }), "{outcome:?}");
    }

    fn until_stopped(&mut self) {
        self.report(|report| (*report == Report::Stopped).then_some(()));
    }
}

impl Worker {
    /// What it is told when it is to drain, because another primary has taken over: whether that takes its idle
    /// connections.
    fn is_to_drain(&self) -> bool {
        loop {
            wait_readable(self.raw.as_fd());
            match self.control.receive().expect("an order") {
                Received::Drain(order) => {
                    assert_eq!(order.reason.as_deref(), Some("upgrade"));
                    return !order.takers.is_empty();
                }
                Received::Pause | Received::Resume | Received::Probe => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

const GOOD: &str = "hello offered ready commit serving main serve";

#[test]
fn a_primary_hands_over_what_waits_and_what_its_workers_leave() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut worker = program.worker();
    let (listener, port) = worker.listen_http(0);
    let mut idle = connect(port);
    let (_, connection) = worker.take();
    // More than a queue holds.
    let waiting: Vec<_> = (0..60).map(|_| connect(port)).collect();
    let mut part = program.upgrade(GOOD);
    program.until_upgraded();
    assert!(worker.is_to_drain());
    for client in waiting.into_iter().chain([connect(port)]) {
        assert_eq!(served_by(client), SUCCESSOR);
    }
    worker.park(listener, connection, Some(60_000));
    idle.write_all(b"x").expect("a connection");
    assert_eq!(served_by(idle), SUCCESSOR);
    drop(worker);
    program.until_stopped();
    let told = part.line();
    assert!(told.ends_with(" 1 idle"), "{told}");
    assert_eq!(served_by(connect(port)), SUCCESSOR, "the socket listens still");
}

//! Another primary takes over, or fails to.

use std::{
    env,
    ffi::CString,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use nix::{
    sys::{
        resource::{Resource, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use rs_cluster::primary::{
    Order,
    options::SuperviseOptions,
    primary_recipe::PrimaryRecipe,
    report::{Cause, Ended, FailedPhase, Outcome, Rejection, Report, State},
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
pub(super) fn recipe(play: &str, stream: &UnixStream) -> PrimaryRecipe {
    let file = env::current_exe().expect("a program");
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
        // Where workers accept themselves, it is not known that this one has nothing open.
        let is_short = scheduling == Scheduling::Shared;
        let drain_timeout = if is_short { Duration::from_millis(500) } else { DEADLINE };
        let options = SuperviseOptions { drain_timeout, ..options(1) };
        let mut program = Self::supervise_by(scheduling, options, good());
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

pub(super) const GOOD: &str = "hello offered ready commit serving main serve";

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

#[test]
fn a_primary_without_workers_leaves_its_place_too() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    program.order(Order::Hold);
    let processes = program.primary.engine.snapshot().expect("a status").processes;
    for process in processes.values() {
        kill(Pid::from_raw(process.pid), Signal::SIGKILL).expect("a worker");
    }
    program.hear(|event| matches!(event, Event::Exited { .. }).then_some(()));
    let mut part = program.upgrade(GOOD);
    program.until_upgraded();
    program.until_stopped();
    assert_eq!(part.line(), "0 accepted, 0 new, 0 idle", "the end comes last");
}

/// Whether the test of this name has a process of its own; if not, it is run in one now.
fn is_alone(name: &str) -> bool {
    const ALONE: &str = "RS_CLUSTER_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut program = Process::new(env::current_exe().expect("a program"));
    let program = program.args([name, "--exact", "--nocapture"]).env(ALONE, "1");
    let output = program.output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// What this process has: how many descriptors, and which children.
fn belongings(program: &mut Program) -> (usize, Vec<i32>) {
    // What is being closed is closed then.
    program.primary.command(Command::Barrier(7));
    program.hear(|event| matches!(event, Event::Passed(7)).then_some(()));
    let descriptors = fs::read_dir("/proc/self/fd").expect("a folder").count();
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task").expect("a folder").flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().map(|pid| pid.parse::<i32>().expect("a pid")));
    }
    children.sort_unstable();
    (descriptors, children)
}

/// What a primary plays, how much time it has, when it fails, and why.
type Case = (&'static str, Duration, FailedPhase, fn(&Cause) -> bool);

fn broke(cause: &Cause) -> bool {
    matches!(cause, Cause::BrokeProtocol(_))
}

fn timed_out(cause: &Cause) -> bool {
    matches!(cause, Cause::TimedOut(missing) if missing.is_empty())
}

fn refused(cause: &Cause) -> bool {
    matches!(cause, Cause::NoCommonVersion(_))
}

fn gave_up(cause: &Cause) -> bool {
    matches!(cause, Cause::GaveUp(reason) if reason == "no database")
}

fn killed(cause: &Cause) -> bool {
    *cause == Cause::Exited(Ended::Signal(libc::SIGKILL))
}

fn exited(cause: &Cause) -> bool {
    *cause == Cause::Exited(Ended::Code(3))
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "reads /proc")]
fn a_primary_that_fails_leaves_nothing_and_the_old_one_serves_on() {
    use FailedPhase::{Commit, Handshake, Ready};
    // Enough to start a program, and to hear from it.
    const SOON: Duration = Duration::from_secs(2);
    if !is_alone("upgrade::a_primary_that_fails_leaves_nothing_and_the_old_one_serves_on") {
        return;
    }
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut worker = program.worker();
    let (_, port) = worker.listen_http(0);
    let before = belongings(&mut program);
    let cases: [Case; 26] = [
        ("exit:3", DEADLINE, Handshake, exited),
        ("kill", DEADLINE, Handshake, killed),
        ("hang", SOON, Handshake, timed_out),
        ("packet:10 hang", DEADLINE, Handshake, broke),
        ("packet:0 hang", DEADLINE, Handshake, broke),
        ("packet:70000 hang", DEADLINE, Handshake, broke),
        ("cut hang", DEADLINE, Handshake, broke),
        ("descriptor hang", DEADLINE, Handshake, broke),
        ("close hang", DEADLINE, Handshake, broke),
        ("hello:1000 hang", DEADLINE, Handshake, refused),
        ("ready hang", DEADLINE, Handshake, broke),
        ("failed exit:3", DEADLINE, Handshake, gave_up),
        ("flood", DEADLINE, Ready, broke),
        ("hello exit:3", DEADLINE, Ready, exited),
        ("hello offered exit:3", DEADLINE, Ready, exited),
        ("hello offered kill", DEADLINE, Ready, killed),
        ("hello hang", SOON, Ready, timed_out),
        ("hello offered hang", SOON, Ready, timed_out),
        ("hello offered serving hang", DEADLINE, Ready, broke),
        ("hello offered failed exit:3", DEADLINE, Ready, gave_up),
        ("hello offered failed hang", DEADLINE, Ready, gave_up),
        ("hello offered ready commit exit:3", DEADLINE, Commit, exited),
        ("hello offered ready commit kill", DEADLINE, Commit, killed),
        ("hello offered ready commit failed exit:3", DEADLINE, Commit, gave_up),
        ("hello offered ready ready hang", DEADLINE, Commit, broke),
        ("hello offered ready commit hang", DEADLINE, Commit, timed_out),
    ];
    for (play, timeout, phase, is_cause) in cases {
        let part = program.upgrade_within(timeout, play);
        let Rejection { cause, phase: failed, worker: none, slot } = program.rejection();
        assert_eq!((failed, none, slot), (phase, None, None), "{play}: {cause:?}");
        assert!(is_cause(&cause), "{play}: {cause:?}");
        let snapshot = program.primary.engine.snapshot().expect("a status");
        assert_eq!(snapshot.status.state, State::Ready);
        drop(part);
        let client = connect(port);
        worker.serve();
        assert_eq!(served_by(client), worker.id, "{play}");
        assert_eq!(belongings(&mut program), before, "{play}");
    }
    drop(worker);
    program.stop();
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "reads /proc")]
fn a_primary_that_fails_takes_its_group_and_its_workers_along() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    // Workers lead groups of their own.
    let play = "stubborn child child:0 hang";
    let mut part = program.upgrade_within(Duration::from_secs(5), play);
    let children = [part.line(), part.line()];
    assert!(timed_out(&program.rejection().cause));
    for child in children {
        let status = Path::new("/proc").join(child).join("status");
        // A process that has ended may wait to be reaped.
        let deadline = Instant::now() + DEADLINE;
        while fs::read_to_string(&status).is_ok_and(|it| !it.contains("State:\tZ")) {
            assert!(Instant::now() < deadline, "its child runs");
            std::thread::yield_now();
        }
    }
    program.stop();
}

#[test]
fn a_program_that_can_not_be_started_is_no_primary() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let (_ours, theirs) = UnixStream::pair().expect("a stream");
    let missing = PrimaryRecipe { file: c("/no/such/file"), ..recipe("", &theirs) };
    program.order(Order::Upgrade(TOKEN, Arc::new(missing), DEADLINE));
    let Rejection { cause, phase, .. } = program.rejection();
    assert_eq!((cause, phase), (Cause::Fork("execve", libc::ENOENT), FailedPhase::Start));
    program.stop();
}

#[test]
fn a_stop_ends_the_primary_that_gets_ready() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut part = program.upgrade("hello offered hang");
    let begin = Instant::now();
    program.stop();
    assert_eq!(part.line(), "", "it has ended");
    assert!(begin.elapsed() < DEADLINE, "it does not get the time of the upgrade");
}

#[test]
fn a_stop_after_the_commit_waits_for_the_outcome_and_stops_both() {
    for (play, is_upgraded) in [("serving main serve", true), ("exit:3", false)] {
        let mut program = Program::of_one(Scheduling::RoundRobin);
        let mut part = program.upgrade(&format!("hello offered ready commit tell wait {play}"));
        assert_eq!(part.line(), "here");
        program.order(Order::Stop { token: 99, delay: Duration::ZERO, timeout: DEADLINE });
        program.primary.command(Command::Barrier(7));
        program.hear(|event| matches!(event, Event::Passed(7)).then_some(()));
        part.go_on();
        let outcome = program.outcome();
        assert_eq!(matches!(outcome, Outcome::Upgraded { .. }), is_upgraded, "{outcome:?}");
        program.until_stopped();
        let told = if is_upgraded { part.line() } else { String::new() };
        // It ends by the signal, before or after it has told that nothing more comes.
        assert!(told.is_empty() || part.line().is_empty(), "{told}");
    }
}

#[test]
fn what_a_busy_primary_does_not_read_waits_for_it() {
    const CLIENTS: usize = 400;
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut worker = program.worker();
    let (listener, port) = worker.listen_http(0);
    let (clients, taken): (Vec<_>, Vec<_>) = (0..CLIENTS)
        .map(|_| {
            let client = connect(port);
            (client, worker.take().1)
        })
        .unzip();
    let mut part = program.upgrade("hello offered ready commit serving tell wait main serve");
    program.until_upgraded();
    assert_eq!(part.line(), "here");
    assert!(worker.is_to_drain());
    for connection in taken {
        worker.park(listener, connection, None);
    }
    drop(worker);
    let exited = program.hear(|event| match event {
        Event::Exited { worker, .. } => Some(*worker),
        Event::Report { report: Report::Stopped, .. } => panic!("the successor has not read all"),
        _ => None,
    });
    assert!(exited > 0);
    part.go_on();
    for mut client in clients {
        client.write_all(b"x").expect("a connection");
        assert_eq!(served_by(client), SUCCESSOR);
    }
    assert_eq!(part.line(), format!("0 accepted, 0 new, {CLIENTS} idle"));
    program.until_stopped();
}

#[test]
fn the_end_of_a_primary_that_serves_ends_the_old_one_nevertheless() {
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut worker = program.worker();
    let (listener, port) = worker.listen_http(0);
    let mut client = connect(port);
    let (_, connection) = worker.take();
    let _part = program.upgrade("hello offered ready commit serving main kill");
    program.until_upgraded();
    assert!(worker.is_to_drain());
    assert!(!worker.is_to_drain(), "nothing takes them any more");
    worker.park(listener, connection, None);
    expect_end(&mut client);
    drop(worker);
    program.until_stopped();
}

/// A worker that serves an address by whatever the policy gives it.
fn serve_by_policy(scheduling: Scheduling) -> (Program, Worker, u16, Option<OwnedFd>) {
    let program = Program::of_one(scheduling);
    let mut worker = program.worker();
    let query = Query::new(loopback(0));
    worker.send(&ToPrimary::Listen { seq: 5, query, data: None, is_http: true }, None);
    let (reply, socket) = worker.reply();
    if reply.socket == Some(SocketKind::Shared) {
        listen::start_with(socket.as_ref().expect("a socket"), 511).expect("a bound socket");
    }
    (program, worker, reply.address.expect("a bound address").port, socket)
}

#[test]
fn under_every_policy_what_waits_is_served_once() {
    for scheduling in [
        Scheduling::RoundRobin,
        Scheduling::LeastConnections,
        Scheduling::SourceHash,
        Scheduling::ReusePort,
        Scheduling::Shared,
    ] {
        let (mut program, worker, port, socket) = serve_by_policy(scheduling);
        let mut clients: Vec<_> = (0..40).map(|_| connect(port)).collect();
        let mut part = program.upgrade("hello offered ready wait commit serving main serve");
        clients.extend((0..40).map(|_| connect(port)));
        part.go_on();
        program.until_upgraded();
        worker.is_to_drain();
        drop((worker, socket));
        clients.extend((0..40).map(|_| connect(port)));
        for client in clients {
            assert_eq!(served_by(client), SUCCESSOR, "{scheduling:?}");
        }
        program.until_stopped();
        assert!(part.line().ends_with("0 idle"));
        assert_eq!(served_by(connect(port)), SUCCESSOR, "{scheduling:?}");
    }
}

#[test]
fn a_unix_socket_and_an_address_that_is_not_taken() {
    let path = env::temp_dir().join(format!("rs-upgrade-{}.sock", std::process::id()));
    let unix = Target::Unix { path: path.to_string_lossy().into_owned() };
    for (play, is_taken) in [("ready", true), ("nothing", false)] {
        let mut program = Program::of_one(Scheduling::RoundRobin);
        let mut worker = program.worker();
        assert_eq!(worker.ask(unix.clone()).0.errno, 0);
        let (reply, _) = worker.ask(loopback(0));
        let port = reply.address.expect("a bound address").port;
        let part = program.upgrade(&format!("hello offered {play} commit serving main serve"));
        program.until_upgraded();
        assert!(!worker.is_to_drain() || is_taken);
        drop(worker);
        program.until_stopped();
        // The successor has what none of its workers serves as well, because one may come to do so.
        UnixStream::connect(&path).expect("a socket that listens");
        let client = connect(port);
        if is_taken {
            assert_eq!(served_by(client), SUCCESSOR);
        }
        fs::remove_file(&path).expect("a file that was left to the successor");
        drop(part);
    }
}

/// Leaves this process so many free numbers for descriptors.
fn leave_descriptors(spare: usize) {
    let used: Vec<i32> = fs::read_dir("/proc/self/fd")
        .expect("a folder")
        .flatten()
        .filter_map(|it| it.file_name().to_str()?.parse().ok())
        .collect();
    // One of those is that of the folder, which is closed by now.
    let mut free = (0..).filter(|number| !used.contains(number));
    let limit = free.nth(spare).expect("a number").unsigned_abs().into();
    setrlimit(Resource::RLIMIT_NOFILE, limit, DESCRIPTORS).expect("a lower limit");
}

/// As many as tests need.
const DESCRIPTORS: u64 = 1024;

#[test]
#[cfg_attr(target_os = "macos", ignore = "reads /proc")]
fn without_descriptors_an_upgrade_fails_and_leaves_nothing() {
    if !is_alone("upgrade::without_descriptors_an_upgrade_fails_and_leaves_nothing") {
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS).expect("a limit");
    let mut program = Program::of_one(Scheduling::RoundRobin);
    let mut worker = program.worker();
    let (_, port) = worker.listen_http(0);
    let before = belongings(&mut program);
    let mut failures = 0;
    for spare in 0..40 {
        let (ours, theirs) = UnixStream::pair().expect("a stream");
        let recipe = Arc::new(recipe("hello offered exit:3", &theirs));
        leave_descriptors(spare);
        program.order(Order::Upgrade(TOKEN, recipe, DEADLINE));
        let Rejection { cause, phase, .. } = program.rejection();
        setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS).expect("a limit");
        drop((ours, theirs));
        match cause {
            Cause::Fork(_, libc::EMFILE) => failures += 1,
            Cause::Exited(Ended::Code(3)) => assert_eq!(phase, FailedPhase::Ready),
            other => panic!("{spare} free: {other:?}"),
        }
        let client = connect(port);
        worker.serve();
        assert_eq!(served_by(client), worker.id);
        assert_eq!(belongings(&mut program), before, "{spare} free");
        if matches!(cause, Cause::Exited(_)) {
            break;
        }
    }
    assert!((3..30).contains(&failures), "{failures}");
    drop(worker);
    program.stop();
}

/// System calls of the engine's thread fail.
#[cfg(feature = "inject")]
mod faults {
    use rs_cluster::sys::{
        failure::Call,
        inject::{SHORTAGES, fail_in, forget},
        lane::Lane,
    };

    use super::*;

    #[test]
    fn a_shortage_on_the_lane_loses_nothing() {
        for errno in SHORTAGES {
            let mut program = Program::of_one(Scheduling::RoundRobin);
            let mut worker = program.worker();
            let (listener, port) = worker.listen_http(0);
            let (clients, taken): (Vec<_>, Vec<_>) = (0..5)
                .map(|_| {
                    let client = connect(port);
                    (client, worker.take().1)
                })
                .unzip();
            let mut part = program.upgrade("hello offered ready commit serving main serve");
            program.until_upgraded();
            assert!(worker.is_to_drain());
            let thread = *program.primary.thread.get().expect("an engine that has run");
            fail_in(thread, Call::Send(Lane::Control), errno, 3);
            for connection in taken {
                worker.park(listener, connection, None);
            }
            for mut client in clients {
                client.write_all(b"x").expect("a connection");
                assert_eq!(served_by(client), SUCCESSOR);
            }
            assert_eq!(forget(thread), 0, "the calls have failed");
            drop(worker);
            program.until_stopped();
            assert!(part.line().ends_with("5 idle"));
        }
    }
}

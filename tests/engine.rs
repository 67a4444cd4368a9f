//! The engine without JavaScript: real sockets and processes, workers played by the test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "engine/drain.rs"]
mod drain;
#[cfg(feature = "inject")]
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/groups.rs"]
mod groups;
#[path = "engine/hostile.rs"]
mod hostile;
#[path = "engine/shell.rs"]
mod shell;
#[path = "engine/successor.rs"]
mod successor;
#[path = "engine/supervise.rs"]
mod supervise;
#[path = "engine/takeover.rs"]
mod takeover;
#[path = "engine/ticket_keys.rs"]
mod ticket_keys;
#[path = "engine/upgrade.rs"]
mod upgrade;

use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Command as Process, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::write,
};
use rs_cluster::{
    error::Error,
    primary::{
        Command, Engine, Event, Scheduling, Settings,
        fork::Adopted,
        stats::{Counts, Stats, WorkerStats},
        ticket_keys::PERIOD,
    },
    protocol::{
        ListenerId, WorkerId, connection,
        control::{Query, Reply, SocketKind, Target, ToPrimary},
    },
    sys::{
        exit::{self, Exit},
        lane, listen,
        ring::{self, Ring, SharedCounters, Side},
    },
    worker::{Connections, Control, Received, Taken},
};

/// Everything here takes less than a second, so what has not happened by then never will.
const DEADLINE: Duration = Duration::from_secs(20);

struct Primary {
    engine: Engine,
    events: Receiver<Event>,
    /// The engine's thread, known after the first event.
    #[cfg_attr(not(feature = "inject"), expect(dead_code, reason = "calls fail there"))]
    thread: Arc<OnceLock<ThreadId>>,
    /// How long connections may wait for the next worker.
    queue_timeout: Duration,
}

fn settings(scheduling: Scheduling) -> Settings {
    Settings { scheduling, debug_log: false, ticket_key_period: PERIOD }
}

impl Primary {
    fn start(scheduling: Scheduling) -> Self {
        Self::start_heard(scheduling, |_| {})
    }

    /// As [`start`](Self::start); `hear` gets each event, on the engine's thread.
    fn start_heard(scheduling: Scheduling, hear: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self::start_with(settings(scheduling), hear)
    }

    fn start_with(settings: Settings, hear: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let (sender, events) = channel();
        let thread = Arc::new(OnceLock::new());
        let seen = Arc::clone(&thread);
        let mut engine = Engine::new(move |event| {
            seen.get_or_init(|| std::thread::current().id());
            hear(&event);
            drop(sender.send(event));
        });
        engine.start(settings).expect("a thread");
        Self { engine, events, thread, queue_timeout: DEADLINE }
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(DEADLINE).expect("an event")
    }

    fn command(&self, command: Command) {
        self.engine.send(command).expect("a running engine");
    }

    /// Waits until all commands so far are done.
    fn barrier(&self) {
        self.command(Command::Barrier(7));
        assert!(matches!(self.event(), Event::Passed(7)));
    }

    fn expect_exit(&self, id: WorkerId, how: Exit) {
        match self.event() {
            Event::Exited { worker, exit, .. } => assert_eq!((worker, exit), (id, Some(how))),
            other => panic!("{other:?}"),
        }
    }

    fn worker(&self, id: WorkerId) -> Worker {
        self.worker_running(id, "exec cat")
    }

    /// A worker whose process runs this program of the shell.
    #[expect(clippy::zombie_processes, reason = "reaped by the engine")]
    fn worker_running(&self, id: WorkerId, program: &str) -> Worker {
        let (control, their_control) = lane::packet_pair().expect("a lane");
        let (lane, their_lane) = lane::packet_pair().expect("a lane");
        lane::limit_send_buffer(&lane, 4096).expect("a small buffer");
        let memory = ring::create().expect("memory");
        let ring = Ring::map(memory, Side::Primary).expect("a mapping");
        let mut process = Process::new("sh");
        process.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = process.spawn().expect("a process");
        let pid = process.id().cast_signed();
        let watched = Arc::new(exit::Process::watch(pid).expect("a child"));
        self.command(Command::Adopt(Adopted {
            id,
            process: Arc::clone(&watched),
            control,
            hand_off: lane,
            reclaim: their_lane.try_clone().expect("a duplicate"),
            watchdog: None,
            inspect_port: None,
            counters: ring.counters.clone(),
            queue_timeout: self.queue_timeout,
            is_other_user: false,
        }));
        Worker {
            id,
            process: watched,
            raw: their_control.try_clone().expect("a duplicate"),
            control: Control::new(their_control),
            polled: their_lane.try_clone().expect("a duplicate"),
            connections: Connections::new(their_lane),
            counters: ring.counters,
            stdin: process.stdin,
            stdout: process.stdout.expect("a pipe"),
        }
    }
}

/// Starts a primary whose engine is busy after `Command::Barrier(1)`: the receiver reports that it has begun, and
/// the sender ends it.
fn busy(scheduling: Scheduling) -> (Primary, Receiver<()>, Sender<()>) {
    let (begin, begun) = channel();
    let (finish, finished) = channel::<()>();
    let finished = Mutex::new(finished);
    let primary = Primary::start_heard(scheduling, move |event| {
        if matches!(event, Event::Passed(1)) {
            begin.send(()).expect("a test that waits");
            // The engine waits here, as if its work took long.
            let _ = finished.lock().expect("the only one that waits").recv();
        }
    });
    (primary, begun, finish)
}

/// Workers 1 and 2, which serve one port.
fn two_that_serve(scheduling: Scheduling) -> (Primary, [Worker; 2], u16) {
    let primary = Primary::start(scheduling);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port) = one.listen(0);
    other.listen(port);
    (primary, [one, other], port)
}

struct Worker {
    id: WorkerId,
    process: Arc<exit::Process>,
    control: Control,
    raw: OwnedFd,
    connections: Connections,
    polled: OwnedFd,
    counters: SharedCounters,
    /// The process ends when this closes.
    stdin: Option<std::process::ChildStdin>,
    stdout: std::process::ChildStdout,
}

impl Worker {
    fn ask(&mut self, target: Target) -> (Reply, Option<OwnedFd>) {
        let data = Some(self.id.into());
        self.send(
            &ToPrimary::Listen { seq: 5, query: Query::new(target), data, is_http: false },
            None,
        );
        let (reply, shared) = self.reply();
        assert_eq!(reply.seq, 5);
        (reply, shared)
    }

    /// Closes its server, and waits until the engine has closed what it was the last to serve.
    fn close(&mut self, listener: ListenerId) {
        self.send(&ToPrimary::Close { listener }, None);
        wait_readable(self.raw.as_fd());
        match self.control.receive().expect("an order") {
            Received::Closed(closed) => assert_eq!(closed, listener),
            other => panic!("{other:?}"),
        }
    }

    fn reply(&self) -> (Reply, Option<OwnedFd>) {
        wait_readable(self.raw.as_fd());
        match self.control.receive().expect("a reply") {
            Received::Reply(reply, shared) => (reply, shared),
            other => panic!("{other:?}"),
        }
    }

    /// Shows that it is not stuck.
    fn answer_probe(&mut self) {
        wait_readable(self.raw.as_fd());
        assert!(matches!(self.control.receive(), Ok(Received::Probe)));
        self.send(&ToPrimary::Alive, None);
    }

    /// Serves a port of the loopback address; 0 for a new one.
    fn listen(&mut self, port: u16) -> (ListenerId, u16) {
        let (reply, _) = self.ask(loopback(0));
        assert_eq!(reply.errno, 0);
        let bound = reply.address.expect("a bound address").port;
        assert!(port == 0 || port == bound, "the same listener");
        (reply.listener, bound)
    }

    /// As [`listen`](Self::listen), but the worker gets a socket of its own.
    fn listen_own(&mut self, port: u16) -> (ListenerId, u16, OwnedFd) {
        let (reply, socket) = self.ask(loopback(0));
        assert_eq!(reply.errno, 0);
        assert_eq!(reply.socket, Some(SocketKind::Own { slot: Some(0) }), "{reply:?}");
        let bound = reply.address.expect("a bound address").port;
        assert!(port == 0 || port == bound, "the same listener");
        (reply.listener, bound, socket.expect("a socket"))
    }

    /// Accepts a connection that waits at the worker's own socket, if there is one, and serves it.
    fn accept(&self, socket: &OwnedFd) -> bool {
        let Ok(Some(connection)) = listen::accept(socket) else { return false };
        self.counters.add_accepted(Some(0));
        self.answer(&connection);
        true
    }

    fn send(&mut self, request: &ToPrimary, descriptor: Option<OwnedFd>) {
        self.control.send(request, descriptor).expect("a request");
        while !self.control.is_idle() {
            wait_for(self.raw.as_fd(), PollFlags::POLLOUT);
            self.control.flush();
        }
    }

    fn take(&self) -> (ListenerId, OwnedFd) {
        wait_readable(self.polled.as_fd());
        match self.connections.take().expect("a packet") {
            Taken::Connection(listener, connection) => {
                self.counters.add_taken();
                (listener, connection)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Serves the next connection: its client reads the worker's id.
    fn serve(&self) {
        let (_, connection) = self.take();
        self.answer(&connection);
    }

    fn answer(&self, connection: &OwnedFd) {
        write(connection, &[self.id.to_le_bytes()[0]]).expect("an open connection");
    }

    /// Waits until its process has written this.
    fn expect_output(&mut self, text: &str) {
        wait_readable(self.stdout.as_fd());
        let mut output = vec![0; text.len()];
        self.stdout.read_exact(&mut output).expect("a pipe");
        assert_eq!(output, text.as_bytes());
    }

    fn waiting(&self) -> usize {
        connection::waiting(lane::unread(&self.polled).expect("a lane"))
    }

    fn kill(&self) {
        self.process.signal(9).expect("a running process");
    }
}

fn wait_readable(fd: BorrowedFd<'_>) {
    wait_for(fd, PollFlags::POLLIN);
}

fn becomes_readable(fd: BorrowedFd<'_>, within: Duration) -> bool {
    becomes(fd, PollFlags::POLLIN, within)
}

fn wait_for(fd: BorrowedFd<'_>, events: PollFlags) {
    assert!(becomes(fd, events, DEADLINE), "nothing came");
}

fn becomes(fd: BorrowedFd<'_>, events: PollFlags, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within).expect("a short time");
    let mut polled = [PollFd::new(fd, events)];
    poll(&mut polled, timeout).expect("a poll") == 1
}

/// The index of the first descriptor that becomes readable.
fn first_readable(fds: &[BorrowedFd<'_>]) -> usize {
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    let deadline = PollTimeout::try_from(DEADLINE).expect("a short time");
    poll(&mut polled, deadline).expect("poll");
    polled.iter().position(|it| it.any() == Some(true)).expect("one in time")
}

fn loopback(port: u16) -> Target {
    Target::Tcp { address: Some("127.0.0.1".into()), port }
}

fn connect(port: u16) -> TcpStream {
    let client = TcpStream::connect(("127.0.0.1", port)).expect("a listening port");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    client
}

/// Expects that no worker serves the client: its connection ends, or is reset.
fn expect_end(client: &mut TcpStream) {
    match client.read_to_end(&mut Vec::new()) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

fn expect_closed(port: u16) {
    // A process that another test has just started holds a copy of the socket until it executes.
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(begin.elapsed() < DEADLINE, "the port is still open");
    }
}

/// The id of the worker that serves the client.
fn served_by(mut client: TcpStream) -> WorkerId {
    let mut id = [0];
    client.read_exact(&mut id).expect("an answer");
    id[0].into()
}

#[test]
fn idle_workers_get_connections_in_exact_turns() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut workers = [1, 2, 3].map(|id| primary.worker(id));
    let port = workers.iter_mut().fold(0, |port, worker| worker.listen(port).1);
    for turn in 0..30 {
        let client = connect(port);
        workers[turn % 3].serve();
        assert_eq!(served_by(client), workers[turn % 3].id);
    }
}

#[test]
fn what_a_worker_returned_is_served_though_it_died_with_an_order_unread() {
    let (primary, begun, finish) = busy(Scheduling::RoundRobin);
    let mut doomed = primary.worker(1);
    let (listener, port) = doomed.listen(0);
    let clients = [connect(port), connect(port), connect(port)];
    let returned = [(); 3].map(|()| doomed.take().1);
    let mut other = primary.worker(2);
    other.listen(port);
    // The reply to this is the packet that the worker leaves unread.
    doomed.send(
        &ToPrimary::Listen { seq: 6, query: Query::new(loopback(0)), data: None, is_http: false },
        None,
    );
    wait_readable(doomed.raw.as_fd());
    primary.command(Command::Barrier(1));
    begun.recv_timeout(DEADLINE).expect("a busy engine");
    for connection in returned {
        doomed.send(&ToPrimary::Return { listener }, Some(connection));
    }
    doomed.process.end();
    drop(doomed);
    finish.send(()).expect("a busy engine");
    (0..clients.len()).for_each(|_| other.serve());
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
}

#[test]
fn what_a_worker_returned_before_it_left_waits_for_the_next_one() {
    for leave in [Command::Withdraw(1), Command::Leave(1)] {
        let (primary, begun, finish) = busy(Scheduling::RoundRobin);
        let mut leaving = primary.worker(1);
        let (listener, port) = leaving.listen(0);
        let client = connect(port);
        let (_, connection) = leaving.take();
        primary.command(Command::Barrier(1));
        begun.recv_timeout(DEADLINE).expect("a busy engine");
        leaving.send(&ToPrimary::Return { listener }, Some(connection));
        primary.command(leave);
        finish.send(()).expect("a busy engine");
        let mut next = primary.worker(2);
        next.listen(port);
        next.serve();
        assert_eq!(served_by(client), 2);
    }
}

#[test]
fn a_worker_that_does_not_take_its_connections_gets_no_more_than_a_window() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let clients: Vec<_> = (0..60).map(|_| connect(port)).collect();
    let mut most = 0;
    // Each connection that the worker takes makes room for another one; all of them get through.
    for client in clients {
        most = most.max(worker.waiting());
        worker.serve();
        assert_eq!(served_by(client), 1);
    }
    assert!((2..30).contains(&most), "a window of {most}");
}

#[test]
fn a_full_worker_that_asks_for_something_meanwhile_gets_connections_again() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let clients: Vec<_> = (0..60).map(|_| connect(port)).collect();
    for client in clients {
        let nothing = ToPrimary::Close { listener: 1_000_000 };
        worker.send(&nothing, None);
        worker.serve();
        worker.send(&nothing, None);
        assert_eq!(served_by(client), 1);
    }
}

#[test]
fn every_request_is_answered_however_late_the_answers_are_read() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let path = format!("\0rs-cluster-many-{}", std::process::id());
    let query = |seq| ToPrimary::Listen {
        is_http: false,
        seq,
        query: Query::new(Target::Unix { path: path.clone() }),
        data: None,
    };
    for seq in 0..1000 {
        worker.send(&query(seq), None);
    }
    for seq in 0..1000 {
        assert_eq!(worker.reply().0.seq, seq);
    }
}

#[test]
fn a_worker_that_never_reads_answers_is_at_fault() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let target = Target::Tcp { address: Some("nowhere".into()), port: 1 };
    for seq in 0..10_000 {
        worker.send(
            &ToPrimary::Listen {
                seq,
                query: Query::new(target.clone()),
                data: None,
                is_http: false,
            },
            None,
        );
    }
    match primary.event() {
        Event::Faulted { worker: 1, error } => {
            assert!(matches!(error, Error::Unread), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_writes_to_its_hand_off_queue_is_at_fault_and_others_serve_its_connections() {
    let (primary, [odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let clients: Vec<_> = (0..4).map(|_| connect(port)).collect();
    wait_readable(odd.polled.as_fd());
    lane::send_packet(&odd.polled, b"garbage", None).expect("a lane");
    match primary.event() {
        Event::Faulted { worker: 1, error } => {
            assert!(matches!(error, Error::Connection), "{error}");
        }
        unexpected => panic!("{unexpected:?}"),
    }
    for _ in &clients {
        other.serve();
    }
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
}

#[test]
fn a_connection_returned_by_a_worker_that_dies_is_served_by_another() {
    let (primary, [mut doomed, other], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    let (listener, connection) = doomed.take();
    doomed.send(&ToPrimary::Return { listener }, Some(connection));
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    other.serve();
    assert_eq!(served_by(client), 2);
}

#[test]
fn a_free_worker_serves_the_connections_of_one_that_is_stuck() {
    let (primary, [mut stuck, mut free], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    free.answer_probe();
    free.serve();
    assert_eq!(served_by(client), 2);
    assert_eq!(stuck.waiting(), 0);
    for _ in 0..4 {
        let client = connect(port);
        free.serve();
        assert_eq!(served_by(client), 2, "worker 1 is not tried again");
    }
    stuck.answer_probe();
    primary.barrier();
    let clients = [connect(port), connect(port)];
    stuck.serve();
    free.serve();
    let mut served = clients.map(served_by);
    served.sort_unstable();
    assert_eq!(served, [1, 2]);
}

#[test]
fn the_clients_of_a_stuck_worker_wait_longer_for_it_where_it_knows_them() {
    let (_primary, [one, other], port) = two_that_serve(Scheduling::SourceHash);
    let asked = Instant::now();
    let client = connect(port);
    let home = first_readable(&[one.polled.as_fd(), other.polled.as_fd()]);
    let mut free = if home == 0 { other } else { one };
    free.answer_probe();
    assert!(asked.elapsed() >= Duration::from_secs(1), "it was asked after {:?}", asked.elapsed());
    free.serve();
    assert_eq!(served_by(client), free.id);
}

#[test]
fn connections_wait_for_a_stuck_worker_when_no_other_is_free() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let client = connect(port);
    wait_readable(worker.polled.as_fd());
    // This is longer than the engine waits before it suspects a worker.
    assert!(!becomes_readable(worker.raw.as_fd(), Duration::from_millis(50)), "it is not probed");
    worker.serve();
    assert_eq!(served_by(client), 1);
}

#[test]
fn what_comes_while_the_only_other_worker_leaves_waits_for_the_stuck_one() {
    let (primary, [mut stuck, mut free], port) = two_that_serve(Scheduling::RoundRobin);
    let first = connect(port);
    free.answer_probe();
    free.serve();
    assert_eq!(served_by(first), 2);
    primary.command(Command::Withdraw(2));
    primary.barrier();
    let client = connect(port);
    stuck.answer_probe();
    stuck.serve();
    assert_eq!(served_by(client), 1);
}

#[test]
fn connections_of_a_killed_worker_are_served_by_another() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut doomed, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port) = doomed.listen(0);
    let clients: Vec<_> = (0..3).map(|_| connect(port)).collect();
    wait_readable(doomed.polled.as_fd());
    other.listen(port);
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    for client in clients {
        other.serve();
        assert_eq!(served_by(client), 2);
    }
}

#[test]
fn connections_of_the_last_worker_wait_for_the_next_one_with_those_in_the_backlog() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut doomed = primary.worker(1);
    let (_, port) = doomed.listen(0);
    // More connections than the hand-off queue holds.
    let clients: Vec<_> = (0..50).map(|_| connect(port)).collect();
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    let stats = primary.engine.stats();
    assert_eq!((stats.listeners.len(), stats.listeners[0].workers.len()), (1, 0));
    assert_eq!(stats.listeners[0].waiting, clients.len());
    expect_closed(port);
    let mut next = primary.worker(2);
    next.listen(port);
    let later = connect(port);
    for client in clients.into_iter().chain([later]) {
        next.serve();
        assert_eq!(served_by(client), 2);
    }
    primary.command(Command::Withdraw(2));
    primary.barrier();
    expect_closed(port);
}

#[test]
fn connections_that_no_worker_comes_for_are_closed_after_their_address() {
    let mut primary = Primary::start(Scheduling::RoundRobin);
    primary.queue_timeout = Duration::from_millis(200);
    let mut worker = primary.worker(1);
    let (listener, port) = worker.listen(0);
    let mut client = connect(port);
    wait_readable(worker.polled.as_fd());
    let begin = Instant::now();
    worker.close(listener);
    expect_closed(port);
    expect_end(&mut client);
    assert!(begin.elapsed() >= primary.queue_timeout);
    assert_eq!(worker.waiting(), 0);
    assert_eq!(primary.engine.stats().listeners, []);
}

#[test]
fn connections_that_wait_go_to_a_worker_that_asks_for_the_same_port_in_another_way() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (listener, port) = one.listen(0);
    let client = connect(port);
    wait_readable(one.polled.as_fd());
    one.close(listener);
    let target = loopback(port);
    assert_eq!(other.ask(target).0.errno, 0);
    other.serve();
    assert_eq!(served_by(client), 2);
}

#[test]
fn an_address_is_free_when_its_close_is_confirmed() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::ReusePort, Scheduling::Shared] {
        let primary = Primary::start(scheduling);
        let mut worker = primary.worker(1);
        for _ in 0..50 {
            let (reply, socket) = worker.ask(loopback(0));
            let port = reply.address.expect("a bound address").port;
            drop(socket);
            worker.close(reply.listener);
            TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_address_is_free_though_a_process_that_is_being_started_has_a_copy_of_its_socket() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::ReusePort, Scheduling::Shared] {
        let primary = Primary::start(scheduling);
        let mut worker = primary.worker(1);
        let (reply, socket) = worker.ask(loopback(0));
        let port = reply.address.expect("a bound address").port;
        if scheduling == Scheduling::Shared {
            listen::start_with(socket.as_ref().expect("the socket"), 1).expect("a bound socket");
        }
        let copies = copies_of_sockets(port);
        assert!(!copies.is_empty());
        drop(socket);
        worker.close(reply.listener);
        TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    }
}

/// Duplicates of the engine's sockets on this port of the loopback address: the engine is in this process.
#[cfg(target_os = "linux")]
fn copies_of_sockets(port: u16) -> Vec<OwnedFd> {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let address = format!("0100007F:{port:04X}");
    let of_port = sockets.lines().filter(|line| line.contains(&address));
    let links: Vec<_> = of_port
        .filter_map(|line| line.split_whitespace().nth(9))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let is_one = |fd: &i32| {
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        link.is_ok_and(|link| links.iter().any(|it| link.as_os_str() == it.as_str()))
    };
    (3..1024).filter(is_one).filter_map(|fd| rs_cluster::sys::duplicate(fd).ok()).collect()
}

#[test]
fn a_worker_that_listens_waits_for_the_sockets_of_one_that_has_left() {
    let primary = Primary::start(Scheduling::Shared);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (reply, socket) = one.ask(loopback(0));
    let port = reply.address.expect("a bound address").port;
    listen::start_with(socket.as_ref().expect("the socket"), 1).expect("a bound socket");
    primary.command(Command::Leave(1));
    let any = Target::Tcp { address: Some("0.0.0.0".into()), port };
    other.send(
        &ToPrimary::Listen { seq: 5, query: Query::new(any), data: None, is_http: false },
        None,
    );
    assert!(!becomes_readable(other.raw.as_fd(), Duration::from_millis(50)));
    drop(socket);
    one.send(&ToPrimary::Close { listener: reply.listener }, None);
    assert!(matches!(primary.event(), Event::Left(1)));
    assert_eq!(other.reply().0.errno, 0);
}

#[test]
fn a_worker_that_listens_shares_the_socket_that_one_that_has_left_still_holds() {
    for scheduling in [Scheduling::Shared, Scheduling::ReusePort] {
        let primary = Primary::start(scheduling);
        let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
        let (reply, socket) = one.ask(loopback(0));
        primary.command(Command::Withdraw(1));
        primary.engine.stats();
        assert_eq!(other.ask(loopback(0)).0.listener, reply.listener);
        drop(socket);
        one.close(reply.listener);
    }
}

#[test]
fn connections_do_not_wait_for_the_next_worker_when_all_are_to_leave() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let mut client = connect(port);
    wait_readable(worker.polled.as_fd());
    primary.command(Command::Withdraw(1));
    primary.barrier();
    expect_end(&mut client);
    expect_closed(port);
}

#[test]
fn connections_of_a_retired_worker_are_served_by_another() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut leaving, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port) = leaving.listen(0);
    let client = connect(port);
    wait_readable(leaving.polled.as_fd());
    other.listen(port);
    primary.command(Command::Withdraw(1));
    other.serve();
    assert_eq!(served_by(client), 2);
    for _ in 0..4 {
        let client = connect(port);
        other.serve();
        assert_eq!(served_by(client), 2);
    }
}

#[test]
fn a_paused_worker_gets_nothing_until_it_is_resumed() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut paused, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port) = paused.listen(0);
    let client = connect(port);
    wait_readable(paused.polled.as_fd());
    other.listen(port);
    primary.command(Command::Pause(1));
    other.serve();
    assert_eq!(served_by(client), 2, "what it had not taken");
    for _ in 0..4 {
        let client = connect(port);
        other.serve();
        assert_eq!(served_by(client), 2);
    }
    primary.command(Command::Resume(1));
    primary.barrier();
    let clients = [connect(port), connect(port)];
    paused.serve();
    other.serve();
    let mut served = clients.map(served_by);
    served.sort_unstable();
    assert_eq!(served, [1, 2]);
}

#[test]
fn connections_wait_while_all_workers_are_paused() {
    let (primary, [one, other], port) = two_that_serve(Scheduling::RoundRobin);
    for id in [1, 2, 1] {
        primary.command(Command::Pause(id));
    }
    primary.barrier();
    let clients: Vec<_> = (0..20).map(|_| connect(port)).collect();
    primary.barrier();
    assert_eq!((one.waiting(), other.waiting()), (0, 0));
    primary.command(Command::Resume(2));
    for client in clients {
        other.serve();
        assert_eq!(served_by(client), 2);
    }
}

#[test]
fn the_fewest_open_connections_are_counted_without_a_message() {
    let (_primary, [one, other], port) = two_that_serve(Scheduling::LeastConnections);
    let serve = |worker: &Worker| {
        let client = connect(port);
        worker.serve();
        assert_eq!(served_by(client), worker.id);
    };
    serve(&one);
    serve(&other);
    serve(&one);
    serve(&other);
    one.counters.add_closed();
    one.counters.add_closed();
    // Worker 1 has no open connection, worker 2 has two.
    serve(&one);
    serve(&one);
    serve(&other);
    serve(&one);
}

#[test]
fn the_clients_of_an_address_stay_with_their_worker_until_it_leaves() {
    let primary = Primary::start(Scheduling::SourceHash);
    let mut workers = [1, 2, 3].map(|id| primary.worker(id));
    let (_, port) = workers[0].listen(0);
    workers[1].listen(port);
    workers[2].listen(port);
    let serve = |workers: &[Worker]| {
        let client = connect(port);
        let ready: Vec<_> = workers.iter().map(|it| it.polled.as_fd()).collect();
        workers[first_readable(&ready)].serve();
        served_by(client)
    };
    let mine = serve(&workers);
    for _ in 0..5 {
        assert_eq!(serve(&workers), mine);
    }
    primary.command(Command::Withdraw(mine));
    primary.barrier();
    let heir = serve(&workers);
    assert_ne!(heir, mine);
    for _ in 0..5 {
        assert_eq!(serve(&workers), heir);
    }
}

#[test]
fn what_becomes_of_connections_is_counted() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port) = one.listen(0);
    let clients = [connect(port), connect(port), connect(port)];
    let (listener, connection) = one.take();
    other.listen(port);
    primary.command(Command::Pause(1));
    one.send(&ToPrimary::Return { listener }, Some(connection));
    one.counters.add_closed();
    clients.iter().for_each(|_| other.serve());
    assert_eq!(clients.map(served_by), [2, 2, 2]);
    other.counters.add_closed();
    let stats = primary.engine.stats();
    let [listener] = stats.listeners.as_slice() else { panic!("{stats:?}") };
    assert_eq!(
        (&*listener.address, &*listener.workers),
        (&*format!("127.0.0.1:{port}"), &[1, 2][..])
    );
    assert_eq!((listener.accepted, listener.waiting), (3, 0));
    let counts = Counts { handed_over: 6, reclaimed: 2, rescued: 0, returned: 1, moved: 0 };
    assert_eq!(listener.counts, counts);
    assert_eq!(listener.handover.buckets.iter().sum::<u64>(), 3);
    let worker = |id, counts, open| WorkerStats {
        id,
        accepted: 0,
        counts,
        waiting: 0,
        open,
        stalled: false,
        is_blocked: false,
    };
    assert_eq!(
        stats.workers,
        [
            worker(
                1,
                Counts { handed_over: 3, reclaimed: 2, rescued: 0, returned: 1, moved: 0 },
                0
            ),
            worker(2, Counts { handed_over: 3, ..Counts::default() }, 2),
        ]
    );
    other.kill();
    primary.expect_exit(2, Exit::Signal(9));
    assert_eq!(primary.engine.stats().workers.len(), 1);
}

#[test]
fn a_rescue_is_counted_and_a_stalled_worker_seen() {
    let (primary, [_stuck, mut free], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    free.answer_probe();
    free.serve();
    assert_eq!(served_by(client), 2);
    let stats = primary.engine.stats();
    assert_eq!(stats.listeners[0].counts.rescued, 1);
    let [stuck, free] = stats.workers.as_slice() else { panic!("{stats:?}") };
    assert_eq!((stuck.stalled, stuck.counts.rescued, stuck.open), (true, 1, 0));
    assert_eq!((free.stalled, free.counts.handed_over, free.open), (false, 1, 1));
}

/// Workers 1 and 2, each with a socket of its own for one port, which no other process has.
fn two_with_own_sockets() -> (Primary, [Worker; 2], [OwnedFd; 2], u16) {
    let primary = Primary::start(Scheduling::ReusePort);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (_, port, socket) = one.listen_own(0);
    let (_, _, sibling) = other.listen_own(port);
    (primary, [one, other], [socket, sibling], port)
}

/// Connects until `count` connections wait at each of the sockets.
fn fill(port: u16, sockets: &[&OwnedFd], count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    while sockets.iter().any(|socket| listen::backlog(socket) < count) {
        assert!(clients.len() < 1000, "the kernel spreads connections");
        clients.push(connect(port));
    }
    clients
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn each_worker_has_a_socket_of_its_own_and_the_kernel_spreads_connections() {
    let (primary, [one, other], [socket, sibling], port) = two_with_own_sockets();
    let clients = fill(port, &[&socket, &sibling], 5);
    let mut accepted = [0, 0];
    while one.accept(&socket) {
        accepted[0] += 1;
    }
    while other.accept(&sibling) {
        accepted[1] += 1;
    }
    assert_eq!(accepted.iter().sum::<u64>(), clients.len() as u64);
    one.counters.add_closed();
    let stats = primary.engine.stats();
    assert_eq!(stats.listeners[0].accepted, clients.len() as u64);
    assert_eq!(stats.listeners[0].counts, Counts::default());
    let seen: Vec<_> = stats.workers.iter().map(|it| (it.accepted, it.open as u64)).collect();
    assert_eq!(seen, [(accepted[0], accepted[0] - 1), (accepted[1], accepted[1])]);
    let mut by_one = clients.into_iter().map(served_by).collect::<Vec<_>>();
    by_one.retain(|&id| id == 1);
    assert_eq!(by_one.len() as u64, accepted[0]);
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn the_port_of_a_foreign_process_is_in_use_even_if_it_would_share_it() {
    let (_primary, _workers, _sockets, port) = two_with_own_sockets();
    let foreign = Primary::start(Scheduling::ReusePort);
    let target = loopback(port);
    assert_eq!(foreign.worker(1).ask(target.clone()).0.errno, -libc::EADDRINUSE);
    let other = Primary::start(Scheduling::RoundRobin);
    assert_eq!(other.worker(1).ask(target).0.errno, -libc::EADDRINUSE);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn what_waits_at_the_socket_of_a_dead_worker_is_served_by_others_and_the_next_one_gets_the_socket()
{
    let (primary, [doomed, other], [socket, sibling], port) = two_with_own_sockets();
    let clients = fill(port, &[&socket], 3);
    let orphans = listen::backlog(&socket);
    drop(socket);
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    (0..orphans).for_each(|_| other.serve());
    while other.accept(&sibling) {}
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    // Connections that come to that socket from now on go to the other worker, too.
    let later: Vec<_> = (0..20).map(|_| connect(port)).collect();
    let own = listen::backlog(&sibling);
    assert!(own < 20, "the kernel spreads connections");
    (own..20).for_each(|_| other.serve());
    while other.accept(&sibling) {}
    assert!(later.into_iter().all(|client| served_by(client) == 2));
    let mut next = primary.worker(3);
    let (_, _, socket) = next.listen_own(port);
    fill(port, &[&socket, &sibling], 3);
    assert_eq!((next.waiting(), other.waiting()), (0, 0));
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn what_waits_at_the_socket_of_a_stuck_worker_is_served_by_one_that_is_free() {
    let (primary, [mut stuck, mut free], [socket, sibling], port) = two_with_own_sockets();
    let clients = fill(port, &[&socket], 1);
    while free.accept(&sibling) {}
    free.answer_probe();
    free.serve();
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    let clients: Vec<_> = (0..20).map(|_| connect(port)).collect();
    (listen::backlog(&sibling)..20).for_each(|_| free.serve());
    while free.accept(&sibling) {}
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    assert!(primary.engine.stats().workers[0].stalled);
    stuck.answer_probe();
    primary.barrier();
    let _clients = fill(port, &[&socket, &sibling], 1);
    assert!(stuck.accept(&socket), "it accepts again");
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn others_serve_what_comes_to_the_socket_of_a_worker_that_is_paused_or_has_no_descriptors() {
    let (primary, [mut one, other], [socket, sibling], port) = two_with_own_sockets();
    // Serves connections until some have come to this socket.
    let serve_until = |one: &Worker, wanted: usize| {
        let places = [&one.polled, &other.polled, &sibling, &socket];
        // A paused worker does not accept from its socket.
        let places = if wanted == 3 { &places[..] } else { &places[..3] };
        let places: Vec<_> = places.iter().map(AsFd::as_fd).collect();
        let mut served = [0; 4];
        while served[wanted] < 3 {
            let client = connect(port);
            let place = loop {
                let place = first_readable(&places);
                let is_served = match place {
                    0 => {
                        one.serve();
                        true
                    }
                    1 => {
                        other.serve();
                        true
                    }
                    2 => other.accept(&sibling),
                    // The engine may have accepted the connection first.
                    _ => one.accept(&socket),
                };
                if is_served {
                    break place;
                }
            };
            served[place] += 1;
            assert_eq!(served_by(client), if place == 0 || place == 3 { 1 } else { 2 });
        }
        served
    };
    let next_order = |one: &mut Worker| loop {
        wait_readable(one.raw.as_fd());
        match one.control.receive().expect("an order") {
            Received::Probe => one.send(&ToPrimary::Alive, None),
            order => return order,
        }
    };
    primary.command(Command::Pause(1));
    assert!(matches!(next_order(&mut one), Received::Pause));
    assert_eq!(serve_until(&one, 1)[0], 0);
    primary.command(Command::Resume(1));
    assert!(matches!(next_order(&mut one), Received::Resume));
    serve_until(&one, 3);
    // A worker without descriptors gets no connections until it reports that it has some again.
    one.send(&ToPrimary::Exhausted, None);
    assert_eq!(serve_until(&one, 1)[0], 0);
    one.send(&ToPrimary::Recovered, None);
    serve_until(&one, 3);
}

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel does not spread connections")]
fn what_waits_at_the_last_workers_socket_waits_for_the_next_one() {
    let primary = Primary::start(Scheduling::ReusePort);
    let mut doomed = primary.worker(1);
    let (_, port, socket) = doomed.listen_own(0);
    let clients = fill(port, &[&socket], 20);
    drop(socket);
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    let mut next = primary.worker(2);
    let (_, _, socket) = next.listen_own(port);
    for _ in &clients {
        match first_readable(&[&socket, &next.polled].map(AsFd::as_fd)) {
            0 => assert!(next.accept(&socket)),
            _ => next.serve(),
        }
    }
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    primary.command(Command::Withdraw(2));
    drop(socket);
    primary.barrier();
    expect_closed(port);
}

#[test]
fn workers_with_own_sockets_share_what_has_no_port_in_turns() {
    let primary = Primary::start(Scheduling::ReusePort);
    let mut workers = [1, 2].map(|id| primary.worker(id));
    let name = format!("rs-cluster-{}-turns.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    for worker in &mut workers {
        let (reply, socket) = worker.ask(Target::Unix { path: path.display().to_string() });
        assert_eq!((reply.errno, reply.socket, socket.is_none()), (0, None, true));
    }
    for turn in 0..4 {
        let _client = UnixStream::connect(&path).expect("a listening socket");
        workers[turn % 2].take();
    }
}

#[test]
fn an_engine_that_has_not_started_knows_nothing() {
    assert_eq!(Engine::new(drop).stats(), Stats::default());
}

#[test]
fn a_returned_connection_goes_to_the_next_worker() {
    let (_primary, [mut busy, other], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    let (listener, connection) = busy.take();
    busy.send(&ToPrimary::Return { listener }, Some(connection));
    other.serve();
    assert_eq!(served_by(client), 2);
}

#[test]
fn a_connection_that_all_workers_return_goes_round_until_one_serves_it() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let client = connect(port);
    for _ in 0..5 {
        let (listener, connection) = worker.take();
        worker.send(&ToPrimary::Return { listener }, Some(connection));
    }
    worker.serve();
    assert_eq!(served_by(client), 1);
}

#[test]
fn the_socket_closes_with_the_last_worker_that_serves_it() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (listener, port) = one.listen(0);
    other.listen(port);
    one.send(&ToPrimary::Close { listener }, None);
    let client = connect(port);
    other.serve();
    assert_eq!(served_by(client), 2);
    primary.command(Command::Withdraw(2));
    primary.barrier();
    expect_closed(port);
}

#[test]
fn a_unix_socket_is_removed_with_its_listener() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let path = std::env::temp_dir().join(format!("rs-cluster-{}.sock", std::process::id()));
    let target = Target::Unix { path: path.display().to_string() };
    let (reply, _) = worker.ask(target.clone());
    assert_eq!((reply.errno, reply.address), (0, None));
    let _client = UnixStream::connect(&path).expect("a listening socket");
    worker.take();
    let mut second = primary.worker(2);
    assert_eq!(second.ask(target).0.listener, reply.listener);
    primary.command(Command::Withdraw(1));
    primary.command(Command::Withdraw(2));
    primary.barrier();
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_is_told_to_the_worker_which_may_try_again() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let foreign = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = foreign.local_addr().expect("an address").port();
    let target = loopback(port);
    assert_eq!(worker.ask(target.clone()).0.errno, -libc::EADDRINUSE);
    drop(foreign);
    // A process that another test is starting has a copy of it until it executes its program.
    let begun = Instant::now();
    while worker.ask(target.clone()).0.errno != 0 {
        assert!(begun.elapsed() < DEADLINE, "the address is free");
    }
    let again = worker.ask(target).0.errno;
    assert_eq!(again, -libc::EADDRINUSE, "a second server of one worker");
}

#[test]
fn nonsense_addresses_are_errors() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    for (target, errno) in [
        (Target::Tcp { address: Some("nowhere".into()), port: 1 }, libc::EINVAL),
        (Target::Tcp { address: Some("203.0.113.1".into()), port: 0 }, libc::EADDRNOTAVAIL),
        (Target::Unix { path: "/no/such/folder/socket".into() }, libc::EACCES),
        (Target::Descriptor { fd: 1_000_000, datagrams: false }, libc::EINVAL),
        (Target::Descriptor { fd: 0, datagrams: false }, libc::EINVAL),
        (Target::Descriptor { fd: udp.as_raw_fd(), datagrams: false }, libc::EINVAL),
        (Target::Descriptor { fd: tcp.as_raw_fd(), datagrams: true }, libc::EINVAL),
    ] {
        assert_eq!(worker.ask(target.clone()).0.errno, -errno, "{target:?}");
    }
}

#[test]
fn the_first_workers_data_is_given_to_the_others() {
    let primary = Primary::start(Scheduling::RoundRobin);
    for worker in &mut [1, 2, 3].map(|id| primary.worker(id)) {
        let (reply, _) =
            worker.ask(Target::Unix { path: format!("\0rs-cluster-data-{}", std::process::id()) });
        assert_eq!(reply.data, Some(1.into()));
    }
}

#[test]
fn a_shared_socket_comes_with_the_reply() {
    let primary = Primary::start(Scheduling::Shared);
    let mut worker = primary.worker(1);
    let target = loopback(0);
    let (reply, socket) = worker.ask(target);
    assert_eq!(reply.socket, Some(SocketKind::Shared));
    listen::start_with(socket.expect("the socket"), 1).expect("a bound socket");
    connect(reply.address.expect("a bound address").port);
}

#[test]
fn invalid_bytes_on_the_control_socket_end_only_their_worker() {
    let (primary, [rogue, other], port) = two_that_serve(Scheduling::RoundRobin);
    lane::send_packet(&rogue.raw, b"{\"act\":\"nonsense\"}", None).expect("a packet");
    assert!(matches!(primary.event(), Event::Faulted { worker: 1, .. }));
    for _ in 0..4 {
        let client = connect(port);
        other.serve();
        assert_eq!(served_by(client), 2);
    }
}

#[test]
fn a_worker_that_can_not_load_the_addon_says_why() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    worker.send(&ToPrimary::Unable { reason: "a reason".into() }, None);
    match primary.event() {
        Event::Unable { worker: 1, reason } => assert_eq!(reason, "a reason"),
        unexpected => panic!("{unexpected:?}"),
    }
    drop(worker.stdin.take());
    primary.expect_exit(1, Exit::Code(0));
}

#[test]
fn an_exit_is_told_with_its_code_and_nothing_stays_open() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    drop(worker.stdin.take());
    primary.expect_exit(1, Exit::Code(0));
    let ended = lane::receive(&worker.raw, &mut [0]).expect("the end");
    assert_eq!(ended.length, 0, "the engine has closed its end");
}

#[test]
fn a_worker_that_outlives_the_engine_keeps_its_hand_off_queue_and_is_reaped() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    drop(primary);
    let end = Instant::now() + DEADLINE;
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < end, "the address is free");
    }
    // By this end, a worker learns that the process of its primary is gone.
    let mut polled = [PollFd::new(worker.polled.as_fd(), PollFlags::empty())];
    assert_eq!(poll(&mut polled, PollTimeout::ZERO), Ok(0));
    let pid = worker.process.pid();
    drop(worker.process);
    drop(worker.stdin.take());
    while exit::Process::watch(pid).is_ok() {
        assert!(Instant::now() < end, "it is reaped");
    }
}

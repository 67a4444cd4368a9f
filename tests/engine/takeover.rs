//! A primary that takes the place of another one, which the test plays. Its workers are this program again.

use std::{env, ffi::CString, process::exit as end_process};

use rs_cluster::{
    primary::{
        Order, RunOptions,
        fork::LaneNumbers,
        operator::identity,
        options::{ReadyWhen, SuperviseOptions},
        recipe::Recipe,
        report::{Outcome, Rejection, Report, State},
    },
    protocol::{
        control::{BoundAddress, MAX_PACKET, decode, encode},
        upgrade::{Counted, CountedOf, Listener, Taken as Taking, ToPredecessor, ToSuccessor},
    },
    sys::{inherit, lane::Kind, listen::Bound},
};

use super::*;

/// Makes this program a worker, see [`plays_a_worker`]: what it listens on, as JSON.
const WORKER: &str = "RS_CLUSTER_PLAYS_WORKER";

/// How long the first worker has to live.
const SOON: Duration = Duration::from_millis(20);

/// What the played worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Play {
    /// Serves.
    Serve,
    /// Serves HTTP.
    ServeHttp,
    /// Exits when it listens.
    ExitListening,
    /// Does not listen.
    Silent,
}

/// Not a test, but the program of the workers: it listens, answers each connection by its id, and closes it.
#[test]
fn plays_a_worker() {
    let Ok(query) = env::var(WORKER) else { return };
    let (play, query) = query.split_once(' ').expect("two words");
    let query: Query = serde_json::from_str(query).expect("a query");
    let take = |fd| inherit(fd, Kind::Packets).expect("a lane");
    let mut control = Control::new(take(4));
    let connections = Connections::new(take(5));
    let counters = ring::inherit(6).expect("memory").counters;
    let id: u8 = env::var("NODE_UNIQUE_ID").expect("an id").parse().expect("a small number");
    if play != "Silent" {
        let is_http = play == "ServeHttp";
        let listen = ToPrimary::Listen { seq: 1, query, data: None, is_http };
        control.send(&listen, None).expect("a request");
    }
    let answer = |connection: OwnedFd| _ = write(&connection, &[id]);
    let mut sockets = Vec::new();
    let mut accepts = true;
    loop {
        let control_fd = polled_fd(control.fd());
        let queue_fd = polled_fd(connections.fd());
        let mut fds = vec![control_fd.as_fd(), queue_fd.as_fd()];
        if accepts {
            fds.extend(sockets.iter().map(|(socket, _): &(OwnedFd, _)| socket.as_fd()));
        }
        first_readable_ever(&fds);
        loop {
            match control.receive().expect("an order") {
                Received::Reply(reply, socket) => {
                    assert_eq!(reply.errno, 0);
                    if let Some(socket) = socket {
                        let slot = match reply.socket {
                            Some(SocketKind::Own { slot }) => slot,
                            _ => None,
                        };
                        if reply.socket == Some(SocketKind::Shared) {
                            listen::start_with(&socket, 511).expect("a bound socket");
                        }
                        sockets.push((socket, slot));
                    }
                    if play == "ExitListening" {
                        end_process(3);
                    }
                }
                Received::Socket { socket, slot, .. } => {
                    sockets.push((socket.expect("a socket"), slot));
                }
                Received::Probe => control.send(&ToPrimary::Alive, None).expect("an answer"),
                Received::Pause => accepts = false,
                Received::Resume => accepts = true,
                Received::Drain(_) | Received::Ended => end_process(0),
                Received::Empty => break,
                _ => {}
            }
        }
        match connections.take().expect("a connection") {
            Taken::Connection(_, connection) => {
                counters.add_taken();
                answer(connection);
                counters.add_closed();
            }
            Taken::Ended => end_process(0),
            _ => {}
        }
        for (socket, slot) in sockets.iter().filter(|_| accepts) {
            if let Ok(Some(connection)) = listen::accept(socket) {
                counters.add_accepted(*slot);
                answer(connection);
                counters.add_closed();
            }
        }
    }
}

fn polled_fd(fd: i32) -> OwnedFd {
    rs_cluster::sys::duplicate(fd).expect("an open descriptor")
}

fn first_readable_ever(fds: &[BorrowedFd<'_>]) {
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut polled, PollTimeout::NONE).expect("poll");
}

/// Workers that listen on this address.
fn workers(play: Play, query: &Query) -> Recipe {
    let c = |text: &str| CString::new(text).expect("a text");
    let file = env::current_exe().expect("a path").display().to_string();
    let query = serde_json::to_string(query).expect("JSON");
    Recipe {
        file: c(&file),
        args: vec![c(&file), c("takeover::plays_a_worker"), c("--exact"), c("--nocapture")],
        env: vec![c(&format!("{WORKER}={play:?} {query}"))],
        cwd: None,
        uid: None,
        gid: None,
        stdio: vec![-2, -2, 2, -1],
        numbers: LaneNumbers { ipc: 3, control: 4, hand_off: 5, memory: 6, watchdog: None },
        queue_timeout: Duration::from_secs(2),
        own_group: true,
        keeps_stderr: true,
        prefix: None,
        inspect: None,
        slot_env: Vec::new(),
    }
}

fn options(workers: u32) -> SuperviseOptions {
    SuperviseOptions {
        workers,
        ready_when: ReadyWhen::Listening,
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

/// The old primary, with the sockets that it listens on.
struct Old {
    lane: OwnedFd,
    sockets: Vec<Bound>,
    query: Query,
    address: BoundAddress,
    port: u16,
}

impl Old {
    /// Listens with so many sockets on one port. Returns the other end of the lane, too.
    fn new(sockets: usize) -> (Self, OwnedFd) {
        let (lane, theirs) = lane::packet_pair().expect("a lane");
        let any = Query::new(loopback(0));
        let first = listen::bind_query(&any, false).expect("a port");
        listen::start(&first, &any).expect("a backlog");
        let address = listen::bound_address(&first).expect("a name").expect("an address");
        let query = Query::new(loopback(address.port));
        if sockets > 1 {
            listen::allow_siblings(&first).expect("siblings");
        }
        let mut all = vec![first];
        while all.len() < sockets {
            all.push(listen::sibling(&all[0], &query).expect("a sibling"));
        }
        let port = address.port;
        (Self { lane, sockets: all, query, address, port }, theirs)
    }

    fn say(&self, message: &ToSuccessor, descriptor: Option<BorrowedFd<'_>>) {
        let packet = encode(message).expect("a short message");
        lane::send_packet(&self.lane, &packet, descriptor).expect("a lane with room");
    }

    fn hear(&self) -> ToPredecessor {
        wait_readable(self.lane.as_fd());
        let packet = lane::receive_whole_packet(&self.lane, MAX_PACKET).expect("a message");
        assert!(!packet.is_end, "the new primary lives");
        decode(&packet.bytes, packet.length).expect("a message")
    }

    fn welcome(&self) {
        let (version, node) = ("0.0.1".into(), "v18.0.0".into());
        let pid = std::process::id();
        let message = ToSuccessor::Welcome { protocol: 1, version, node, pid, generation: 6 };
        self.say(&message, None);
    }

    fn offer(&self) {
        self.welcome();
        self.say(
            &ToSuccessor::Listener(Listener {
                listener: 9,
                query: self.query.clone(),
                address: Some(self.address.clone()),
                data: None,
                has_file: false,
                is_activated: false,
                sockets: u32::try_from(self.sockets.len()).expect("a few"),
            }),
            None,
        );
        for socket in &self.sockets {
            self.say(&ToSuccessor::Socket { listener: 9 }, Some(socket.as_fd()));
        }
        let counts = [("accepted".into(), 1000), ("cut".into(), 5), ("reloads".into(), 2)].into();
        let of = CountedOf::Program;
        self.say(&ToSuccessor::Counted(Counted { of, counts, buckets: vec![1, 2] }), None);
        self.say(&ToSuccessor::Offered, None);
    }

    /// Waits until the new primary's workers are well.
    fn until_ready(&self) -> Vec<Taking> {
        match self.hear() {
            ToPredecessor::Hello { .. } => self.until_ready(),
            ToPredecessor::Ready { takes } => takes,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&self) {
        self.say(&ToSuccessor::Commit, None);
        assert_eq!(self.hear(), ToPredecessor::Serving);
    }

    /// Accepts a connection as the old primary.
    fn accept(&self) -> OwnedFd {
        wait_readable(self.sockets[0].as_fd());
        listen::accept(&self.sockets[0]).expect("a connection").expect("a client that stays")
    }
}

/// The new primary.
struct New {
    primary: Primary,
}

impl New {
    fn start(
        scheduling: Scheduling,
        lane: OwnedFd,
        options: SuperviseOptions,
        recipe: Recipe,
    ) -> Self {
        let mut primary = Primary::start(scheduling);
        let offered = primary.engine.take_over_from(lane, "1.0.0", "v24.0.0", DEADLINE);
        let offered = offered.expect("an offer");
        assert_eq!(offered.predecessor.generation, 6);
        let program = identity::Program { name: "program".into(), node: "none".into() };
        let run = RunOptions::default();
        primary.engine.supervise(options, run, recipe, program).expect("a running engine");
        Self { primary }
    }

    fn report<T>(&self, pick: impl Fn(&Report) -> Option<T>) -> T {
        loop {
            match self.primary.event() {
                Event::Report { report, .. } => {
                    if let Some(picked) = pick(&report) {
                        return picked;
                    }
                }
                Event::Faulted { worker, error } => panic!("worker {worker}: {error}"),
                _ => {}
            }
        }
    }

    fn until_ready(&self) {
        self.report(|report| (*report == Report::Ready).then_some(()));
    }

    fn until_failed(&self) -> Rejection {
        self.report(|report| match report {
            Report::StandbyFailed(rejection) => Some(rejection.clone()),
            Report::TakenOver { .. } | Report::Ready => panic!("it serves"),
            _ => None,
        })
    }

    fn stop(&self) {
        self.primary.command(Command::Supervision(Order::Stop {
            token: 99,
            delay: Duration::ZERO,
            timeout: DEADLINE,
        }));
        let done = Report::Answer(99, Outcome::Done);
        self.report(|report| (*report == done).then_some(()));
    }
}

#[test]
fn an_upgrade_hands_over_the_port_and_loses_no_connection() {
    let (old, lane) = Old::new(1);
    let before: Vec<_> = (0..100).map(|_| connect(old.port)).collect();
    old.offer();
    let recipe = workers(Play::Serve, &old.query);
    let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
    assert_eq!(old.until_ready(), [Taking { listener: 9, is_http: false }]);
    let during: Vec<_> = (0..100).map(|_| connect(old.port)).collect();
    let accepted = [old.accept(), old.accept()];
    assert!(before.iter().chain(&during).all(is_silent), "nothing is served before the commit");
    old.commit();
    new.report(|report| matches!(report, Report::TakenOver { .. }).then_some(()));
    new.until_ready();
    for connection in accepted {
        let message = ToSuccessor::Connection { listener: 9, prefers_http: false };
        old.say(&message, Some(connection.as_fd()));
    }
    for client in before.into_iter().chain(during) {
        served_by(client);
    }
    old.say(&ToSuccessor::Main, None);
    old.say(&ToSuccessor::Done, None);
    wait_readable(old.lane.as_fd());
    let packet = lane::receive_whole_packet(&old.lane, MAX_PACKET).expect("an end");
    assert!(packet.is_end, "the lane is closed when all is done");
    let port = old.port;
    drop(old);
    served_by(connect(port));
    let snapshot = new.primary.engine.snapshot().expect("a status");
    assert_eq!(snapshot.status.generation, 7);
    assert_eq!(snapshot.status.state, State::Ready);
    assert_eq!(snapshot.tally.cut, 5);
    assert!(snapshot.observed.total.accepted >= 1000 + 199);
    new.stop();
    expect_closed(port);
}

/// Whether nothing has come for the client.
fn is_silent(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a socket");
    let read = (&*client).read(&mut [0]);
    client.set_nonblocking(false).expect("a socket");
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

//! A primary that takes the place of another one, which the test plays. Its workers are this program again.

use std::{env, ffi::CString, process::exit as end_process};

use rs_cluster::{
    primary::{
        Order, RunOptions,
        fork::LaneNumbers,
        inherit::{InheritedListener, Source},
        operator::identity,
        options::{ReadyWhen, SuperviseOptions},
        recipe::Recipe,
        report::{Cause, Ended, Outcome, Rejection, Report, State},
    },
    protocol::{
        control::{BoundAddress, MAX_PACKET, decode, encode},
        upgrade::{
            Counted, CountedOf, Listener, OperatorKind, Taken as Taking, ToPredecessor, ToSuccessor,
        },
    },
    sys::{inherit, lane::Kind, listen::Bound},
};

use super::{
    successor::SUCCESSOR,
    upgrade::{GOOD, recipe as recipe_of_primary},
    *,
};

/// Makes this program a worker, see [`plays_a_worker`]: what it listens on, as JSON.
const WORKER: &str = "RS_CLUSTER_PLAYS_WORKER";

/// What the played worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Play {
    /// Serves.
    Serve,
    /// Serves HTTP.
    ServeHttp,
    /// Exits when it listens.
    ExitListening,
}

/// Not a test, but the program of the workers: it listens, answers each connection by its id, and closes it.
#[test]
fn plays_a_worker() {
    let Ok(query) = env::var(WORKER) else { return };
    let (play, queries) = query.split_once(' ').expect("two words");
    let queries: Vec<Query> = serde_json::from_str(queries).expect("queries");
    let take = |fd| inherit(fd, Kind::Packets).expect("a lane");
    let mut control = Control::new(take(4));
    let connections = Connections::new(take(5));
    let counters = ring::inherit(6).expect("memory").counters;
    let id: u8 = env::var("NODE_UNIQUE_ID").expect("an id").parse().expect("a small number");
    let is_http = play == "ServeHttp";
    for query in queries {
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

/// Workers that listen on these addresses.
fn workers(play: Play, queries: &[&Query]) -> Recipe {
    let c = |text: &str| CString::new(text).expect("a text");
    let file = env::current_exe().expect("a path").display().to_string();
    let queries = serde_json::to_string(queries).expect("JSON");
    Recipe {
        file: c(&file),
        args: vec![c(&file), c("takeover::plays_a_worker"), c("--exact"), c("--nocapture")],
        env: vec![c(&format!("{WORKER}={play:?} {queries}"))],
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
    SuperviseOptions { ready_when: ReadyWhen::Listening, ..supervise::options(workers) }
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

    fn offer_listener(&self, listener: ListenerId) {
        self.say(
            &ToSuccessor::Listener(Listener {
                listener,
                query: self.query.clone(),
                address: Some(self.address.clone()),
                data: None,
                has_file: false,
                is_activated: false,
                is_unserved: false,
                sockets: u32::try_from(self.sockets.len()).expect("a few"),
            }),
            None,
        );
        for socket in &self.sockets {
            self.say(&ToSuccessor::Socket { listener }, Some(socket.as_fd()));
        }
    }

    fn offer(&self) {
        self.welcome();
        self.offer_listener(9);
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

    /// What it hears when the new primary has failed.
    fn until_failed(&self) -> ToPredecessor {
        loop {
            match self.hear() {
                ToPredecessor::Hello { .. } | ToPredecessor::Ready { .. } => {}
                other => return other,
            }
        }
    }

    fn commit(&self) {
        self.say(&ToSuccessor::Commit, None);
        assert_eq!(self.hear(), ToPredecessor::Serving);
    }

    /// Sends what is not a message.
    fn say_garbage(&self) {
        lane::send_packet(&self.lane, b"garbage", None).expect("a lane with room");
    }

    fn end(&self) {
        self.say(&ToSuccessor::Main, None);
        self.say(&ToSuccessor::Done, None);
        wait_readable(self.lane.as_fd());
        let packet = lane::receive_whole_packet(&self.lane, MAX_PACKET).expect("an end");
        assert!(packet.is_end, "the lane is closed when all is done");
    }

    fn send_connection(&self, listener: ListenerId, connection: OwnedFd) {
        let message = ToSuccessor::Connection { listener, prefers_http: false };
        self.say(&message, Some(connection.as_fd()));
    }

    fn park(&self, listener: ListenerId, connection: OwnedFd, left: Option<u32>) {
        self.say(&ToSuccessor::Parked { listener, left }, Some(connection.as_fd()));
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
        let mut new = Self { primary };
        new.supervise(options, recipe);
        new
    }

    fn supervise(&mut self, options: SuperviseOptions, recipe: Recipe) {
        let program = identity::Program { name: "program".into(), node: "none".into() };
        let run = RunOptions::default();
        let begun = self.primary.engine.supervise(options, run, recipe, program);
        begun.expect("a running engine");
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
    let recipe = workers(Play::Serve, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
    assert_eq!(old.until_ready(), [Taking { listener: 9, is_http: false }]);
    let during: Vec<_> = (0..100).map(|_| connect(old.port)).collect();
    let accepted = [old.accept(), old.accept()];
    assert!(before.iter().chain(&during).all(is_silent), "nothing is served before the commit");
    old.commit();
    new.report(|report| matches!(report, Report::TakenOver { .. }).then_some(()));
    new.until_ready();
    accepted.into_iter().for_each(|connection| old.send_connection(9, connection));
    for client in before.into_iter().chain(during) {
        served_by(client);
    }
    old.end();
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

const ALL: [Scheduling; 5] = [
    Scheduling::RoundRobin,
    Scheduling::LeastConnections,
    Scheduling::SourceHash,
    Scheduling::ReusePort,
    Scheduling::Shared,
];

#[test]
#[cfg_attr(target_os = "macos", ignore = "the kernel spreads no connections")]
fn every_policy_takes_the_sockets_of_every_other_and_serves_what_waits_there() {
    for (scheduling, sockets) in ALL.into_iter().flat_map(|it| [(it, 1), (it, 3)]) {
        let (old, lane) = Old::new(sockets);
        let before: Vec<_> = (0..100).map(|_| connect(old.port)).collect();
        old.offer();
        let count = if sockets == 1 { 2 } else { 1 };
        let recipe = workers(Play::Serve, &[&old.query]);
        let new = New::start(scheduling, lane, options(count), recipe);
        assert_eq!(old.until_ready(), [Taking { listener: 9, is_http: false }], "{scheduling:?}");
        let during: Vec<_> = (0..100).map(|_| connect(old.port)).collect();
        assert!(before.iter().chain(&during).all(is_silent), "{scheduling:?} waits");
        let accepted = old.accept();
        old.commit();
        old.send_connection(9, accepted);
        before.into_iter().chain(during).for_each(|client| _ = served_by(client));
        old.end();
        let port = old.port;
        drop(old);
        for _ in 0..20 {
            served_by(connect(port));
        }
        new.stop();
        expect_closed(port);
    }
}

#[test]
fn an_old_primary_that_dies_leaves_its_place() {
    for step in 1..5 {
        let (old, lane) = Old::new(1);
        let clients: Vec<_> = (0..20).map(|_| connect(old.port)).collect();
        old.offer();
        let (port, query) = (old.port, old.query.clone());
        // It dies before the workers are ready, when they are, when it has told to serve, or is told that it is.
        let recipe = workers(Play::Serve, &[&query]);
        let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
        if step >= 2 {
            old.until_ready();
        }
        if step >= 3 {
            old.say(&ToSuccessor::Commit, None);
        }
        if step >= 4 {
            assert_eq!(old.hear(), ToPredecessor::Serving);
            old.say(&ToSuccessor::Main, None);
        }
        drop(old);
        new.expect_to_serve(clients);
        served_by(connect(port));
        new.stop();
        expect_closed(port);
    }
}

impl New {
    fn expect_to_serve(&self, clients: Vec<TcpStream>) {
        self.report(|report| matches!(report, Report::TakenOver { .. }).then_some(()));
        self.until_ready();
        clients.into_iter().for_each(|client| _ = served_by(client));
    }
}

#[test]
fn a_new_primary_fails_with_its_workers_and_the_old_one_goes_on() {
    let missing = CString::new("/no/such/file").expect("a text");
    let (old, lane) = Old::new(1);
    let client = connect(old.port);
    old.offer();
    let recipe = workers(Play::ExitListening, &[&old.query]);
    let mut new = New::start(Scheduling::RoundRobin, lane, options(3), recipe);
    assert_eq!(new.until_failed().cause, Cause::Exited(Ended::Code(3)));
    new.primary.engine.take_over_failed("no luck");
    let ToPredecessor::Failed { reason } = old.until_failed() else { panic!("it has failed") };
    assert_eq!(reason, "no luck");
    drop(new);
    let accepted = old.accept();
    write(&accepted, &[42]).expect("an open connection");
    assert_eq!(served_by(client), 42);
    let (other, lane) = Old::new(1);
    other.offer();
    let recipe = Recipe { file: missing, ..workers(Play::Serve, &[&other.query]) };
    let new = New::start(Scheduling::RoundRobin, lane, options(1), recipe);
    assert!(matches!(new.until_failed().cause, Cause::Fork(..)));
    connect(other.port);
}

#[test]
fn an_old_primary_that_breaks_the_protocol_keeps_its_place() {
    type Break = fn(&Old);
    let cases: [(bool, Break); 5] = [
        (false, Old::say_garbage),
        (true, Old::say_garbage),
        (false, |old| old.say(&ToSuccessor::Commit, None)),
        (true, |old| old.say(&ToSuccessor::Main, None)),
        (true, |old| old.say(&ToSuccessor::Offered, None)),
    ];
    for (waits, play) in cases {
        let (old, lane) = Old::new(1);
        old.offer();
        let recipe = workers(Play::Serve, &[&old.query]);
        let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
        if waits {
            old.until_ready();
        }
        play(&old);
        let rejection = new.until_failed();
        assert!(matches!(rejection.cause, Cause::Predecessor(_)), "{rejection:?}");
        let ToPredecessor::Failed { reason } = old.until_failed() else { panic!("it has failed") };
        assert!(reason.starts_with("invalid data from the primary before this one"), "{reason}");
        connect(old.port);
    }
}

#[test]
fn a_primary_that_has_failed_says_so_once() {
    let (old, lane) = Old::new(1);
    old.offer();
    let recipe = workers(Play::Serve, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
    old.until_ready();
    (0..3).for_each(|_| old.say_garbage());
    new.until_failed();
    new.primary.command(Command::Barrier(7));
    loop {
        match new.primary.event() {
            Event::Passed(7) => break,
            Event::Report { report: Report::StandbyFailed(again), .. } => panic!("{again:?}"),
            _ => {}
        }
    }
}

#[test]
fn a_descriptor_is_adopted_whatever_has_its_number_here() {
    let (old, lane) = Old::new(1);
    old.welcome();
    old.say(&ToSuccessor::Offered, None);
    let mut primary = Primary::start(Scheduling::RoundRobin);
    primary.engine.take_over_from(lane, "1", "v24.0.0", DEADLINE).expect("an offer");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("a name").port();
    let socket = OwnedFd::from(socket);
    let query = Query::new(Target::Descriptor { fd: socket.as_raw_fd(), datagrams: false });
    primary.engine.inherited().add(InheritedListener {
        source: Source::Upgraded { listener: 9, has_file: false, is_activated: false },
        query: Some(query.clone()),
        address: None,
        data: None,
        sockets: vec![socket],
    });
    let mut new = New { primary };
    new.supervise(options(1), workers(Play::Serve, &[&query]));
    old.until_ready();
    old.commit();
    served_by(connect(port));
    old.end();
    new.stop();
}

#[test]
fn a_primary_that_serves_goes_on_whatever_the_old_one_sends() {
    let (old, lane) = Old::new(1);
    old.offer();
    let recipe = workers(Play::Serve, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(1), recipe);
    old.until_ready();
    old.commit();
    old.say_garbage();
    old.say(&ToSuccessor::Commit, None);
    old.say(&ToSuccessor::Connection { listener: 9, prefers_http: false }, None);
    let message = new.report(|report| match report {
        Report::PredecessorFaulted(message) => Some(message.clone()),
        _ => None,
    });
    assert!(message.starts_with("invalid data from the primary before this one"), "{message}");
    let client = connect(old.port);
    let stray = connect(old.port);
    served_by(client);
    served_by(stray);
    old.end();
    new.stop();
}

#[test]
fn idle_connections_wait_in_the_new_primary_for_their_clients() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::Shared] {
        let (old, lane) = Old::new(1);
        old.offer();
        let recipe = workers(Play::ServeHttp, &[&old.query]);
        let new = New::start(scheduling, lane, options(2), recipe);
        assert_eq!(old.until_ready(), [Taking { listener: 9, is_http: true }]);
        let clients: Vec<_> = (0..6)
            .map(|_| {
                let client = connect(old.port);
                (client, old.accept())
            })
            .collect();
        old.commit();
        let mut idle = Vec::new();
        for (at, (client, accepted)) in clients.into_iter().enumerate() {
            // The last one may not wait for long.
            old.park(9, accepted, (at == 5).then_some(50));
            idle.push(client);
        }
        let mut last = idle.pop().expect("a client");
        expect_end(&mut last);
        drop(idle.pop());
        for mut client in idle {
            assert!(is_silent(&client));
            std::io::Write::write_all(&mut client, b"x").expect("an open connection");
            served_by(client);
        }
        old.end();
        new.stop();
    }
}

#[test]
fn a_primary_that_is_replaced_passes_on_what_the_one_before_it_still_sends() {
    let (old, lane) = Old::new(1);
    old.offer();
    let of_workers = workers(Play::ServeHttp, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(1), of_workers);
    old.until_ready();
    let (client, accepted) = (connect(old.port), old.accept());
    let (mut idle, parked) = (connect(old.port), old.accept());
    old.commit();
    old.say(&ToSuccessor::Main, None);
    new.until_ready();
    let (_stream, theirs) = UnixStream::pair().expect("a stream");
    let upgrade = Order::Upgrade(7, Arc::new(recipe_of_primary(GOOD, &theirs)), DEADLINE);
    new.primary.command(Command::Supervision(upgrade));
    let is_upgraded =
        |report: &Report| matches!(report, Report::Answer(7, Outcome::Upgraded { .. }));
    new.report(|report| is_upgraded(report).then_some(()));
    while !matches!(new.primary.event(), Event::Exited { .. }) {}
    old.send_connection(9, accepted);
    old.park(9, parked, None);
    std::io::Write::write_all(&mut idle, b"x").expect("an open connection");
    assert_eq!(served_by(client), SUCCESSOR);
    assert_eq!(served_by(idle), SUCCESSOR);
    old.end();
    new.report(|report| (*report == Report::Stopped).then_some(()));
}

#[test]
fn addresses_may_be_added_and_dropped() {
    let (old, lane) = Old::new(1);
    let (dropped, _) = Old::new(1);
    old.welcome();
    old.offer_listener(9);
    let message = ToSuccessor::Listener(Listener {
        listener: 10,
        query: dropped.query.clone(),
        address: Some(dropped.address.clone()),
        data: None,
        has_file: false,
        is_activated: false,
        is_unserved: false,
        sockets: 1,
    });
    old.say(&message, None);
    old.say(&ToSuccessor::Socket { listener: 10 }, Some(dropped.sockets[0].as_fd()));
    old.say(&ToSuccessor::Offered, None);
    let added = Query::new(loopback(0));
    let recipe = workers(Play::Serve, &[&old.query, &added]);
    let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
    assert_eq!(old.until_ready(), [Taking { listener: 9, is_http: false }]);
    let mut client = connect(dropped.port);
    let accepted = dropped.accept();
    old.commit();
    // No worker serves it, and none is going to.
    old.send_connection(10, accepted);
    expect_end(&mut client);
    old.end();
    let port = dropped.port;
    drop(dropped);
    expect_closed(port);
    let listeners = new.primary.engine.stats().listeners;
    assert_eq!(listeners.len(), 2);
    for listener in listeners {
        let port = listener.address.rsplit(':').next().expect("a port").parse().expect("a number");
        served_by(connect(port));
    }
    new.stop();
}

#[test]
fn a_connection_whose_listener_has_no_worker_now_waits_for_the_next_one() {
    let (old, lane) = Old::new(1);
    old.offer();
    let recipe = workers(Play::Serve, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(1), recipe);
    old.until_ready();
    let client = connect(old.port);
    let accepted = old.accept();
    old.commit();
    new.until_ready();
    let pids = new.primary.engine.snapshot().expect("a status").processes;
    for process in pids.values() {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(process.pid),
            nix::sys::signal::Signal::SIGKILL,
        )
        .expect("a running worker");
    }
    new.report(|report| matches!(report, Report::BackOff { .. }).then_some(()));
    old.send_connection(9, accepted);
    served_by(client);
    old.end();
    new.stop();
}

#[test]
fn a_primary_that_is_stopped_before_it_serves_leaves_the_place_to_the_old_one() {
    let (old, lane) = Old::new(1);
    old.offer();
    let recipe = workers(Play::Serve, &[&old.query]);
    let new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
    old.until_ready();
    new.stop();
    let ToPredecessor::Failed { reason } = old.until_failed() else { panic!("it has stopped") };
    assert_eq!(reason, "the new primary stops");
    old.say(&ToSuccessor::Commit, None);
    let client = connect(old.port);
    write(old.accept(), &[42]).expect("an open connection");
    assert_eq!(served_by(client), 42);
}

/// A path for a socket of operators.
fn path(name: &str) -> String {
    let file = format!("rs-cluster-{}-{name}.sock", std::process::id());
    env::temp_dir().join(file).display().to_string()
}

#[test]
fn operators_find_the_same_sockets_and_their_files_go_with_the_last_primary() {
    let [kept, dropped] = ["kept", "dropped"].map(path);
    let files = || [&kept, &dropped].map(|it| std::path::Path::new(it).exists());
    let listening = |path: &str| std::os::unix::net::UnixListener::bind(path).expect("a path");
    let operators = [listening(&kept), listening(&dropped)];
    let kinds = [OperatorKind::Control, OperatorKind::Admin];
    let offer = |old: &Old| {
        old.welcome();
        old.offer_listener(9);
        for ((kind, address), socket) in kinds.into_iter().zip([&kept, &dropped]).zip(&operators) {
            let message = ToSuccessor::Operator { kind, address: address.clone() };
            old.say(&message, Some(socket.as_fd()));
        }
        old.say(&ToSuccessor::Offered, None);
    };
    for commits in [false, true] {
        let (old, lane) = Old::new(1);
        offer(&old);
        let mut primary = Primary::start(Scheduling::RoundRobin);
        let offered = primary.engine.take_over_from(lane, "1", "v24.0.0", DEADLINE);
        let offered = offered.expect("an offer");
        assert_eq!(
            (offered.control.as_ref(), offered.admin.as_ref()),
            (Some(&kept), Some(&dropped))
        );
        primary.engine.sockets().listen_control(&kept).expect("the offered socket");
        let mut new = New { primary };
        let recipe = workers(Play::Serve, &[&old.query]);
        new.supervise(options(1), recipe);
        old.until_ready();
        // The old primary answers for as long as it serves.
        let client = UnixStream::connect(&kept).expect("a socket");
        let (accepted, _) = operators[0].accept().expect("a client");
        drop((client, accepted));
        if commits {
            old.commit();
            old.say(&ToSuccessor::Main, None);
            let mut client = UnixStream::connect(&kept).expect("a socket");
            let request = b"GET /livez HTTP/1.0\r\n\r\n";
            std::io::Write::write_all(&mut client, request).expect("an open connection");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert!(answer.ends_with("ok\n"), "{answer}");
            assert_eq!(files(), [true, false], "that of the other is of no use any more");
            old.end();
            new.until_ready();
            new.stop();
            let begin = Instant::now();
            while files() != [false, false] {
                assert!(begin.elapsed() < DEADLINE, "no file is left");
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            new.primary.engine.take_over_failed("enough");
            // The old primary may die in any case.
            drop((old, new));
        }
    }
}

/// Makes the test count descriptors in a process of its own.
const COUNTS: &str = "RS_CLUSTER_COUNTS_DESCRIPTORS";

fn descriptors() -> usize {
    std::fs::read_dir("/dev/fd").expect("descriptors").count()
}

#[test]
fn no_descriptor_is_left_over() {
    if env::var(COUNTS).is_err() {
        let name = "takeover::no_descriptor_is_left_over";
        let program = env::current_exe().expect("a path");
        let status = Process::new(program).args([name, "--exact"]).env(COUNTS, "1").status();
        assert!(status.expect("a process").success());
        return;
    }
    let upgrade = |commits: bool| {
        let (old, lane) = Old::new(3);
        old.offer();
        let recipe = workers(Play::Serve, &[&old.query]);
        let mut new = New::start(Scheduling::RoundRobin, lane, options(2), recipe);
        old.until_ready();
        if commits {
            old.commit();
            let mut client = connect(old.port);
            client.read_exact(&mut [0]).expect("an answer");
            old.end();
            new.until_ready();
            new.stop();
        } else {
            new.primary.engine.take_over_failed("enough");
        }
    };
    let settled = || {
        let begin = Instant::now();
        let mut count = descriptors();
        while begin.elapsed() < Duration::from_millis(500) {
            std::thread::sleep(Duration::from_millis(10));
            count = count.min(descriptors());
        }
        count
    };
    upgrade(true);
    upgrade(false);
    let before = settled();
    for commits in [true, false, true, false, true, false] {
        upgrade(commits);
    }
    assert_eq!(settled(), before);
}

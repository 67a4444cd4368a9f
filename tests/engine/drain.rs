//! Workers that drain: what they leave to others, and when they are ended.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use rs_cluster::{primary::DrainOptions, sys::ring::ENGAGED};

use super::*;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);

/// Soon, for a deadline that is to pass.
const SOON: Duration = Duration::from_millis(50);

fn options(timeout: Duration) -> DrainOptions {
    let reason = Some("a test".to_owned());
    DrainOptions { timeout, kill_timeout: SOON, reason, hands_over: true, keeps_queue: false }
}

impl Primary {
    fn drain(&self, worker: WorkerId, options: DrainOptions) {
        self.engine.drain(worker, options).expect("a running engine");
    }

    /// How many idle connections wait in the engine.
    fn parked(&self) -> usize {
        self.engine.stats().listeners.iter().map(|it| it.parked).sum()
    }

    fn wait_until_parked(&self, count: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.parked() != count {
            assert!(Instant::now() < deadline, "{} are parked, not {count}", self.parked());
            std::thread::yield_now();
        }
    }
}

impl Worker {
    /// Counts so many connections that its end would cut.
    fn count_engaged(&self, count: i32) {
        (0..count).for_each(|descriptor| self.counters.set_state(descriptor, ENGAGED));
    }

    /// As [`listen`](Self::listen), with a server that speaks HTTP.
    pub(super) fn listen_http(&mut self, port: u16) -> (ListenerId, u16) {
        let query = Query::new(loopback(0));
        self.send(&ToPrimary::Listen { seq: 5, query, data: None, is_http: true }, None);
        let (reply, _) = self.reply();
        assert_eq!(reply.errno, 0);
        let bound = reply.address.expect("a bound address").port;
        assert!(port == 0 || port == bound, "the same listener");
        (reply.listener, bound)
    }

    /// What it is told when it is to drain: the time that it has, and whether others take its idle
    /// connections.
    fn drain_order(&self) -> (u32, bool) {
        wait_readable(self.raw.as_fd());
        match self.control.receive().expect("an order") {
            Received::Drain(order) => {
                assert_eq!(order.reason.as_deref(), Some("a test"));
                (order.time_left, !order.takers.is_empty())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn park(&mut self, listener: ListenerId, connection: OwnedFd, left: Option<u32>) {
        self.send(&ToPrimary::Park { listener, left }, Some(connection));
    }
}

/// Workers 1 and 2, which serve one port by HTTP; worker 1 drains, and has the connection of a client.
fn drained() -> (Primary, [Worker; 2], u16, ListenerId, TcpStream, OwnedFd) {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (listener, port) = one.listen_http(0);
    let client = connect(port);
    let (_, connection) = one.take();
    other.listen_http(port);
    primary.drain(1, options(LONG));
    let (time_left, moves) = one.drain_order();
    assert!(time_left > 1000 && moves);
    (primary, [one, other], port, listener, client, connection)
}

/// Clients of worker 1, which drains, and has left their connections to the engine. Workers 2 and 3 serve the port
/// as well, but worker 2 does not by HTTP.
fn moved(primary: &Primary, count: usize) -> ([Worker; 3], u16, Vec<TcpStream>) {
    let [mut one, mut plain, mut http] = [1, 2, 3].map(|id| primary.worker(id));
    let (listener, port) = one.listen_http(0);
    let clients: Vec<_> = (0..count).map(|_| connect(port)).collect();
    let taken: Vec<_> = (0..count).map(|_| one.take().1).collect();
    plain.listen(port);
    http.listen_http(port);
    primary.drain(1, options(LONG));
    one.drain_order();
    taken.into_iter().for_each(|connection| one.park(listener, connection, None));
    primary.wait_until_parked(count);
    ([one, plain, http], port, clients)
}

fn is_open(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a socket");
    let read = (&*client).read(&mut [0]);
    client.set_nonblocking(false).expect("a socket");
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_parked_connection_goes_to_another_worker_when_its_client_sends_something() {
    let (primary, [mut one, other], _, listener, mut client, connection) = drained();
    one.park(listener, connection, Some(60_000));
    primary.wait_until_parked(1);
    assert!(matches!(other.connections.take(), Ok(Taken::Empty)) && is_open(&client));
    client.write_all(b"x").expect("a connection");
    let (its_listener, connection) = other.take();
    assert_eq!(its_listener, listener);
    let mut byte = [0];
    std::fs::File::from(connection.try_clone().expect("a duplicate"))
        .read_exact(&mut byte)
        .expect("what the client has sent");
    assert_eq!(&byte, b"x");
    other.answer(&connection);
    drop(connection);
    assert_eq!(served_by(client), 2);
    let stats = primary.engine.stats();
    assert_eq!((stats.listeners[0].counts.moved, stats.listeners[0].parked), (1, 0));
    assert_eq!((stats.workers[0].counts.moved, stats.workers[1].counts.moved), (1, 0));
}

#[test]
fn what_a_client_sends_while_its_connection_moves_is_served_once() {
    const CLIENTS: usize = 200;
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut leaving = primary.worker(1);
    let (listener, port) = leaving.listen_http(0);
    for round in 1..=5 {
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(port)).collect();
        let taken: Vec<_> = (0..CLIENTS).map(|_| leaving.take().1).collect();
        let mut next = primary.worker(round + 1);
        next.listen_http(port);
        primary.drain(round, options(LONG));
        leaving.drain_order();
        let sender = std::thread::spawn(move || {
            for mut client in &clients {
                client.write_all(b"x").expect("an open connection");
            }
            clients
        });
        for connection in taken {
            leaving.park(listener, connection, None);
        }
        for _ in 0..CLIENTS {
            let (_, connection) = next.take();
            next.answer(&connection);
        }
        for client in sender.join().expect("a thread") {
            assert_eq!(served_by(client), next.id);
        }
        assert_eq!(next.waiting(), 0, "each once");
        leaving = next;
    }
    assert_eq!(primary.parked(), 0);
}

#[test]
fn a_parked_connection_closes_with_its_client_or_when_its_time_is_over() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut other] = [1, 2].map(|id| primary.worker(id));
    let (listener, port) = one.listen_http(0);
    let [gone, mut silent, half] = [connect(port), connect(port), connect(port)];
    let taken = [one.take().1, one.take().1, one.take().1];
    other.listen_http(port);
    primary.drain(1, options(LONG));
    one.drain_order();
    for (connection, left) in taken.into_iter().zip([None, Some(1), None]) {
        one.park(listener, connection, left);
    }
    let mut end = Vec::new();
    silent.read_to_end(&mut end).expect("the end, and no reset");
    assert!(end.is_empty());
    drop((gone, silent));
    primary.wait_until_parked(1);
    // One that sends something and its end is served.
    (&half).write_all(b"x").expect("a connection");
    half.shutdown(Shutdown::Write).expect("a connection");
    other.serve();
    assert_eq!(served_by(half), 2);
}

#[test]
fn only_workers_that_serve_http_get_parked_connections() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let ([_one, plain, http], port, clients) = moved(&primary, 4);
    for client in clients {
        (&client).write_all(b"x").expect("a connection");
        http.serve();
        assert_eq!(served_by(client), 3);
    }
    // The policy goes on as if nothing had happened.
    for server in [&plain, &http] {
        let client = connect(port);
        server.serve();
        assert_eq!(served_by(client), server.id);
    }
}

#[test]
fn a_request_that_only_a_paused_worker_could_serve_holds_up_no_others() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let ([_one, plain, http], port, clients) = moved(&primary, 1);
    primary.command(Command::Pause(3));
    primary.barrier();
    (&clients[0]).write_all(b"x").expect("a connection");
    for _ in 0..3 {
        let other = connect(port);
        plain.serve();
        assert_eq!(served_by(other), 2);
    }
    primary.command(Command::Resume(3));
    http.serve();
    clients.into_iter().for_each(|client| assert_eq!(served_by(client), 3));
}

#[test]
fn parked_connections_wait_for_http_no_longer_than_for_any_worker() {
    let mut primary = Primary::start(Scheduling::RoundRobin);
    primary.queue_timeout = SOON;
    let ([_one, plain, _http], port, clients) = moved(&primary, 2);
    primary.command(Command::Withdraw(3));
    primary.barrier();
    (&clients[0]).write_all(b"x").expect("a connection");
    clients.into_iter().for_each(|mut client| expect_end(&mut client));
    primary.wait_until_parked(0);
    let other = connect(port);
    plain.serve();
    assert_eq!(served_by(other), 2);
}

#[test]
fn a_request_that_a_stuck_worker_has_not_taken_goes_to_one_that_serves_http() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let ([_one, _plain, http], port, clients) = moved(&primary, 1);
    (&clients[0]).write_all(b"x").expect("a connection");
    wait_readable(http.polled.as_fd());
    let mut other = primary.worker(4);
    other.listen_http(port);
    primary.command(Command::Pause(3));
    other.serve();
    clients.into_iter().for_each(|client| assert_eq!(served_by(client), 4));
}

#[test]
fn the_connections_of_a_single_worker_go_to_its_successor() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut only = primary.worker(1);
    let (listener, port) = only.listen_http(0);
    let client = connect(port);
    let (_, connection) = only.take();
    primary.drain(1, options(LONG));
    assert!(!only.drain_order().1);
    let mut next = primary.worker(2);
    next.listen_http(port);
    assert!(only.drain_order().1);
    only.park(listener, connection, None);
    (&client).write_all(b"x").expect("a connection");
    next.serve();
    assert_eq!(served_by(client), 2);
}

#[test]
fn parked_connections_survive_a_moment_without_workers() {
    let (primary, [mut one, other], port, listener, mut client, connection) = drained();
    one.park(listener, connection, None);
    primary.wait_until_parked(1);
    primary.command(Command::Withdraw(2));
    client.write_all(b"x").expect("a connection");
    drop(other);
    let mut third = primary.worker(3);
    third.listen_http(port);
    third.serve();
    assert_eq!(served_by(client), 3);
}

#[test]
fn a_worker_that_drains_hears_whether_others_take_its_connections() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let [mut one, mut two, mut three] = [1, 2, 3].map(|id| primary.worker(id));
    let (_, port) = one.listen_http(0);
    two.listen_http(port);
    three.listen(port);
    primary.drain(1, DrainOptions { hands_over: false, ..options(LONG) });
    assert!(!one.drain_order().1, "it was not to");
    primary.drain(2, options(LONG));
    assert!(!two.drain_order().1, "the last one does not serve HTTP");
}

#[test]
fn a_worker_that_drains_hears_when_the_last_taker_leaves_and_when_another_comes() {
    let (primary, [one, other], port, ..) = drained();
    primary.drain(2, options(LONG));
    assert!(!other.drain_order().1, "it is the last one");
    assert!(!one.drain_order().1, "the taker drains as well");
    let mut third = primary.worker(3);
    third.listen_http(port);
    assert!(one.drain_order().1 && other.drain_order().1);
    third.kill();
    primary.expect_exit(3, Exit::Signal(9));
    assert!(!one.drain_order().1 && !other.drain_order().1);
}

#[test]
fn a_worker_that_does_not_drain_may_not_park_connections() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut one = primary.worker(1);
    let (listener, port) = one.listen_http(0);
    let _client = connect(port);
    let (_, connection) = one.take();
    one.park(listener, connection, None);
    match primary.event() {
        Event::Faulted { worker: 1, error: Error::NotItsConnection(_) } => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_is_late_gets_sigterm_then_sigkill_and_what_that_cuts_is_counted() {
    for (kind, ends) in [("echo ready; cat", 15), ("trap '' TERM; echo ready; cat", 9)] {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker_running(1, kind);
        worker.expect_output("ready\n");
        let (_, port) = worker.listen_http(0);
        let _clients = [connect(port), connect(port), connect(port)];
        let _taken = [worker.take(), worker.take(), worker.take()];
        worker.count_engaged(2);
        primary.drain(1, options(LONG));
        primary.drain(1, options(SOON));
        match primary.event() {
            Event::Exited { worker: 1, exit, cut } => {
                assert_eq!((exit, cut), (Some(Exit::Signal(ends)), 2), "{kind}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_worker_that_has_nothing_open_and_does_not_go_is_ended_and_that_cuts_nothing() {
    for says_so in [true, false] {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        worker.listen_http(0);
        primary.drain(1, options(LONG));
        if says_so {
            worker.send(&ToPrimary::Drained, None);
        }
        match primary.event() {
            Event::Exited { worker: 1, exit: Some(Exit::Signal(15)), cut: 0 } => {}
            other => panic!("{other:?}"),
        }
    }
}

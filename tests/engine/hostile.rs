//! Malicious workers: they must harm only themselves.

use std::{fs::File, os::unix::net::UnixListener, thread};

#[cfg(target_os = "linux")]
use nix::sys::{
    socket::{Shutdown, SockaddrStorage, shutdown},
    stat::fstat,
};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, getsockopt, recvmsg,
            setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
    unistd::close,
};
use rs_cluster::sys::{duplicate, lane::make_blocking};

use super::*;

/// Expects a fault of worker 1, and of no other worker; returns its reason.
fn expect_fault(primary: &Primary) -> String {
    match primary.event() {
        Event::Faulted { worker: 1, error } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Expects that worker 2 serves all clients.
fn expect_service(other: &Worker, port: u16) {
    for _ in 0..4 {
        let client = connect(port);
        other.serve();
        assert_eq!(served_by(client), 2);
    }
}

/// A connection of the listener at this port that worker 1 was not given: it comes from worker 2.
fn connection_of(other: &Worker, port: u16) -> (TcpStream, OwnedFd) {
    let client = connect(port);
    let (_, connection) = other.take();
    (client, connection)
}

#[test]
fn a_worker_that_makes_its_hand_off_queue_block_blocks_no_other() {
    let (primary, [stuck, mut free], port) = two_that_serve(Scheduling::RoundRobin);
    make_blocking(&stuck.polled).expect("a socket");
    setsockopt(&stuck.polled, sockopt::ReceiveTimeout, &TimeVal::zero()).expect("a socket");
    let clients = [connect(port), connect(port)];
    wait_readable(stuck.polled.as_fd());
    free.serve();
    free.answer_probe();
    free.serve();
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    stuck.kill();
    primary.expect_exit(1, Exit::Signal(9));
    expect_service(&free, port);
}

#[test]
#[cfg(target_os = "linux")]
fn a_worker_that_has_the_kernel_add_to_its_packets_loses_no_connection() {
    let (primary, [doomed, other], port) = two_that_serve(Scheduling::RoundRobin);
    setsockopt(&doomed.polled, sockopt::PassCred, &true).expect("a socket");
    let clients = [connect(port), connect(port), connect(port), connect(port)];
    wait_readable(doomed.polled.as_fd());
    doomed.kill();
    primary.expect_exit(1, Exit::Signal(9));
    (0..clients.len()).for_each(|_| other.serve());
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
}

#[test]
fn what_is_counted_is_told_while_the_engine_is_busy() {
    let (primary, begun, finish) = busy(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let (_, port) = worker.listen(0);
    let clients = [connect(port), connect(port)];
    worker.serve();
    worker.serve();
    assert!(clients.into_iter().all(|client| served_by(client) == 1));
    primary.command(Command::Barrier(1));
    begun.recv_timeout(DEADLINE).expect("a busy engine");
    let asked = Instant::now();
    for _ in 0..1000 {
        let stats = primary.engine.stats();
        assert_eq!((stats.listeners[0].accepted, stats.workers[0].counts.handed_over), (2, 2));
        assert_eq!(stats.workers[0].open, 2);
    }
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    worker.counters.add_closed();
    assert_eq!(primary.engine.stats().workers[0].open, 1, "what the worker counts is seen as well");
    finish.send(()).expect("a busy engine");
    assert!(matches!(primary.event(), Event::Passed(1)));
}

#[test]
fn what_is_no_connection_of_the_listener_is_not_taken_back() {
    type Make = fn(&Worker) -> OwnedFd;
    let kinds: [(&str, Make); 9] = [
        ("a file", |_| File::open("/dev/null").expect("a file").into()),
        ("a pipe", |_| std::io::pipe().expect("a pipe").0.into()),
        ("a datagram socket", |_| UdpSocket::bind("127.0.0.1:0").expect("a port").into()),
        ("a listening socket", |_| TcpListener::bind("127.0.0.1:0").expect("a port").into()),
        ("a socket without a peer", |_| {
            let (family, kind) = (AddressFamily::Inet, SockType::Stream);
            socket(family, kind, SockFlag::empty(), None).expect("a socket")
        }),
        ("the client's end of a connection", |_| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            TcpStream::connect(listener.local_addr().expect("a port")).expect("a connection").into()
        }),
        ("a pair of sockets", |_| UnixStream::pair().expect("a pair").0.into()),
        ("its control socket", |worker| worker.raw.try_clone().expect("a duplicate")),
        ("its hand-off queue", |worker| worker.polled.try_clone().expect("a duplicate")),
    ];
    for (kind, make) in kinds {
        let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
        let _client = connect(port);
        let (listener, _connection) = odd.take();
        let descriptor = make(&odd);
        odd.send(&ToPrimary::Return { listener }, Some(descriptor));
        let reason = expect_fault(&primary);
        assert!(reason.contains("is not one of the listener's"), "{kind}: {reason}");
        assert_eq!(other.waiting(), 0, "{kind}");
        expect_service(&other, port);
    }
}

#[test]
fn a_worker_returns_no_more_connections_than_it_was_given() {
    let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    let (listener, connection) = odd.take();
    let (stranger, another) = connection_of(&other, port);
    odd.send(&ToPrimary::Return { listener }, Some(connection));
    other.serve();
    assert_eq!(served_by(client), 2);
    odd.send(&ToPrimary::Return { listener }, Some(another));
    assert!(expect_fault(&primary).contains("was not given"));
    assert_eq!(other.waiting(), 0);
    drop(stranger);
    expect_service(&other, port);
}

#[test]
fn a_worker_returns_connections_only_of_what_it_serves() {
    for listener in [2, 1_000_000, 0] {
        let (primary, [mut odd, mut other], port) = two_that_serve(Scheduling::RoundRobin);
        assert_eq!(other.listen(0).0, 2);
        let _client = connect(port);
        let (_, connection) = odd.take();
        odd.send(&ToPrimary::Return { listener }, Some(connection));
        expect_fault(&primary);
        expect_service(&other, port);
    }
}

#[test]
fn what_a_worker_has_set_on_a_connection_that_it_returns_is_undone() {
    let (_primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let _client = connect(port);
    let (listener, connection) = odd.take();
    reset_when_closed(&connection);
    make_blocking(&connection).expect("a socket");
    odd.send(&ToPrimary::Return { listener }, Some(connection));
    let (_, connection) = other.take();
    assert!(!is_reset_when_closed(&connection));
    assert!(!blocks(&connection));
}

#[test]
fn what_a_worker_has_set_on_a_connection_that_is_taken_back_is_undone() {
    for ends in [false, true] {
        let (primary, [odd, other], port) = two_that_serve(Scheduling::RoundRobin);
        let _client = connect(port);
        let connection = peek(&odd);
        reset_when_closed(&connection);
        make_blocking(&connection).expect("a socket");
        if ends {
            odd.kill();
            primary.expect_exit(1, Exit::Signal(9));
        } else {
            primary.command(Command::Pause(1));
        }
        let (_, connection) = other.take();
        assert!(!is_reset_when_closed(&connection));
        assert!(!blocks(&connection));
    }
}

/// A duplicate of the next connection in the worker's hand-off queue; the connection stays there.
fn peek(worker: &Worker) -> OwnedFd {
    wait_readable(worker.polled.as_fd());
    let mut space = nix::cmsg_space!(i32);
    let mut bytes = [0; connection::PACKET];
    let buffers = &mut [std::io::IoSliceMut::new(&mut bytes)];
    let (lane, peek) = (worker.polled.as_raw_fd(), MsgFlags::MSG_PEEK);
    let packet = recvmsg::<()>(lane, buffers, Some(&mut space), peek).expect("a packet");
    let number = packet.cmsgs().expect("enough space").find_map(|message| match message {
        ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
        _ => None,
    });
    let number = number.expect("a descriptor");
    let owned = duplicate(number).expect("an open descriptor");
    close(number).expect("an open descriptor");
    owned
}

/// Makes the end of a connection a reset, for every process that has it.
fn reset_when_closed(connection: &impl AsFd) {
    let resets = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(connection, sockopt::Linger, &resets).expect("a socket");
}

fn is_reset_when_closed(connection: &impl AsFd) -> bool {
    getsockopt(connection, sockopt::Linger).expect("a socket").l_onoff != 0
}

fn blocks(connection: &impl AsFd) -> bool {
    let flags = fcntl(connection, FcntlArg::F_GETFL).expect("a socket");
    !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

#[test]
fn a_returned_connection_whose_client_has_gone_is_not_a_fault() {
    let (primary, [mut one, other], port) = two_that_serve(Scheduling::RoundRobin);
    let client = connect(port);
    let (listener, connection) = one.take();
    reset_when_closed(&client);
    drop(client);
    wait_readable(connection.as_fd());
    one.send(&ToPrimary::Return { listener }, Some(connection));
    one.send(&ToPrimary::Close { listener }, None);
    primary.barrier();
    expect_service(&other, port);
}

#[test]
fn connections_of_a_path_are_told_from_others() {
    let name = format!("rs-cluster-{}-origin.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let foreign = path.with_extension("foreign");
    let server = UnixListener::bind(&foreign).expect("a path");
    let _theirs = UnixStream::connect(&foreign).expect("a listening socket");
    let (stranger, _) = server.accept().expect("a connection");
    drop(std::fs::remove_file(&foreign));
    for stranger in [None, Some(stranger)] {
        let primary = Primary::start(Scheduling::RoundRobin);
        let [mut odd, mut other] = [1, 2].map(|id| primary.worker(id));
        let is_theirs = stranger.is_some();
        let path = path.with_extension(if is_theirs { "theirs" } else { "own" });
        let target = Target::Unix { path: path.display().to_string() };
        for worker in [&mut odd, &mut other] {
            assert_eq!(worker.ask(target.clone()).0.errno, 0);
        }
        let mut client = UnixStream::connect(&path).expect("a listening socket");
        let (listener, connection) = odd.take();
        odd.send(&ToPrimary::Return { listener }, Some(stranger.map_or(connection, Into::into)));
        if is_theirs {
            assert!(expect_fault(&primary).contains("is not one of the listener's"));
        } else {
            other.serve();
            client.read_exact(&mut [0]).expect("an answer");
        }
    }
}

#[test]
fn a_descriptor_that_belongs_to_no_request_is_a_fault() {
    let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let stray = odd.polled.try_clone().expect("a duplicate");
    odd.send(&ToPrimary::Alive, Some(stray));
    assert!(expect_fault(&primary).contains("belongs to no request"));
    expect_service(&other, port);
}

#[test]
fn an_empty_packet_is_a_fault() {
    let (primary, [odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    lane::send_packet(&odd.raw, b"", None).expect("a packet");
    assert!(expect_fault(&primary).contains("invalid data on the control socket"));
    expect_service(&other, port);
}

#[test]
fn a_worker_that_goes_on_without_its_control_socket_is_at_fault_once() {
    type End = fn(&mut Worker);
    let ends: [End; 2] = [
        |worker| {
            lane::shutdown(&worker.raw, lane::Lane::Control).expect("a lane");
        },
        |worker| {
            let (unused, _) = lane::packet_pair().expect("a lane");
            worker.control = Control::new(unused.try_clone().expect("a duplicate"));
            worker.raw = unused;
        },
    ];
    for end in ends {
        let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
        end(&mut odd);
        assert!(expect_fault(&primary).contains("has closed its control socket"));
        expect_service(&other, port);
        odd.kill();
        primary.expect_exit(1, Exit::Signal(9));
    }
}

#[test]
fn a_worker_that_has_left_may_end_its_control_socket() {
    let (primary, [odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    primary.command(Command::Withdraw(1));
    lane::shutdown(&odd.raw, lane::Lane::Control).expect("a lane");
    let event = primary.events.recv_timeout(Duration::from_millis(1500));
    assert!(event.is_err(), "{event:?}");
    expect_service(&other, port);
    odd.kill();
    primary.expect_exit(1, Exit::Signal(9));
}

#[test]
fn data_for_other_workers_is_short_however_it_is_written() {
    for number in ["1e9,", "\"12345678\","] {
        let primary = Primary::start(Scheduling::RoundRobin);
        let [odd, mut other] = [1, 2].map(|id| primary.worker(id));
        let list = format!("[{}0]", number.repeat(3000));
        let query = Query::new(Target::Tcp { address: Some("127.0.0.1".into()), port: 0 });
        let listen = ToPrimary::Listen { seq: 1, query, data: None, is_http: false };
        let packet = serde_json::to_string(&listen).expect("JSON");
        let packet = packet.replace("\"data\":null", &format!("\"data\":{list}"));
        lane::send_packet(&odd.raw, packet.as_bytes(), None).expect("a packet");
        assert!(expect_fault(&primary).contains("of data for other workers"));
        let (_, port) = other.listen(0);
        expect_service(&other, port);
    }
}

#[test]
fn a_worker_that_asks_too_often_is_at_fault_and_delays_no_client_of_others() {
    let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let asks = thread::spawn(move || {
        for _ in 0..1_000_000 {
            if odd.control.send(&ToPrimary::Alive, None).is_err() {
                break;
            }
            while !odd.control.is_idle() {
                if !becomes(odd.raw.as_fd(), PollFlags::POLLOUT, DEADLINE) {
                    break;
                }
                odd.control.flush();
            }
            if lane::unread(&odd.raw).is_err()
                || becomes(odd.raw.as_fd(), PollFlags::POLLHUP, Duration::ZERO)
            {
                break;
            }
        }
        odd
    });
    assert!(expect_fault(&primary).contains("requests at once"));
    expect_service(&other, port);
    drop(asks.join());
}

#[test]
fn a_long_request_that_should_be_short_is_a_fault() {
    let (primary, [odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    let packet = format!(r#"{{"act":"alive","x":[{}0]}}"#, "0,".repeat(30_000));
    lane::send_packet(&odd.raw, packet.as_bytes(), None).expect("a packet");
    assert!(expect_fault(&primary).contains("exceeds the limit of 64"));
    expect_service(&other, port);
}

#[test]
fn a_worker_that_serves_too_many_addresses_is_at_fault() {
    let (primary, [mut odd, other], port) = two_that_serve(Scheduling::RoundRobin);
    for number in 0..1023 {
        let path = format!("\0rs-cluster-{}-{number}", std::process::id());
        let query = Query::new(Target::Unix { path });
        odd.send(&ToPrimary::Listen { seq: number, query, data: None, is_http: false }, None);
        wait_readable(odd.raw.as_fd());
        if let Ok(Received::Ended) = odd.control.receive() {
            break;
        }
    }
    let target = Target::Unix { path: format!("\0rs-cluster-one-too-many-{}", std::process::id()) };
    odd.send(
        &ToPrimary::Listen { seq: 1, query: Query::new(target), data: None, is_http: false },
        None,
    );
    assert!(expect_fault(&primary).contains("listeners"));
    expect_service(&other, port);
}

#[test]
#[cfg(target_os = "linux")]
fn only_sockets_that_listen_or_may_are_given_away_by_their_number() {
    for scheduling in [Scheduling::Shared, Scheduling::RoundRobin, Scheduling::ReusePort] {
        let primary = Primary::start(scheduling);
        let mut worker = primary.worker(1);
        let (reply, socket) = worker.ask(Target::Tcp { address: None, port: 0 });
        drop(socket);
        // The engine has closed its duplicate of the socket.
        primary.barrier();
        let own = sockets_at(reply.address.expect("a bound address").port);
        assert!(!own.is_empty());
        let mine = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = TcpStream::connect(mine.local_addr().expect("a port")).expect("a connection");
        let (server, _) = mine.accept().expect("a connection");
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
        // A process that another test is starting may still have the socket of the previous round.
        let name = format!("rs-cluster-{}-{scheduling:?}", std::process::id());
        let name = nix::sys::socket::UnixAddr::new_abstract(name.as_bytes()).expect("a name");
        let (family, kind) = (AddressFamily::Unix, SockType::Stream);
        let bound =
            nix::sys::socket::socket(family, kind, SockFlag::empty(), None).expect("a socket");
        nix::sys::socket::bind(bound.as_raw_fd(), &name).expect("a free name");
        let allowed = [mine.as_raw_fd(), bound.as_raw_fd()];
        let refused = [client.as_raw_fd(), server.as_raw_fd(), datagrams.as_raw_fd()];
        for fd in refused.into_iter().chain(own) {
            let (reply, _) = worker.ask(Target::Descriptor { fd, datagrams: false });
            let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
            assert_eq!(reply.errno, -libc::EINVAL, "{fd} is {link:?} under {scheduling:?}");
        }
        for fd in allowed {
            let (reply, _) = worker.ask(Target::Descriptor { fd, datagrams: false });
            assert_eq!(reply.errno, 0, "{scheduling:?}");
        }
    }
}

#[cfg(target_os = "linux")]
fn port_of(name: &SockaddrStorage) -> Option<u16> {
    let v4 = name.as_sockaddr_in().map(|it| it.port());
    v4.or_else(|| name.as_sockaddr_in6().map(|it| it.port()))
}

/// The numbers of all descriptors of this process for sockets that have this port.
#[cfg(target_os = "linux")]
fn sockets_at(port: u16) -> Vec<i32> {
    let numbers = std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_port = |fd: &i32| {
        let name = nix::sys::socket::getsockname::<SockaddrStorage>(*fd).ok();
        name.and_then(|name| port_of(&name)) == Some(port)
    };
    numbers.filter(has_port).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_worker_that_makes_its_own_socket_block_blocks_no_other() {
    let (primary, [stuck, mut free], [socket, sibling], port) = two_with_own_sockets();
    make_blocking(&socket).expect("a socket");
    let clients = fill(port, &[&socket], 1);
    while free.accept(&sibling) {}
    free.answer_probe();
    free.serve();
    assert!(clients.into_iter().all(|client| served_by(client) == 2));
    stuck.kill();
    primary.expect_exit(1, Exit::Signal(9));
}

#[test]
#[cfg(target_os = "linux")]
fn connections_are_as_usual_whatever_a_worker_has_set_on_its_socket() {
    let (_primary, [_stuck, mut free], [socket, sibling], port) = two_with_own_sockets();
    reset_when_closed(&socket);
    let _clients = fill(port, &[&socket], 1);
    while free.accept(&sibling) {}
    free.answer_probe();
    let (_, connection) = free.take();
    assert!(!is_reset_when_closed(&connection));
}

#[test]
#[cfg(target_os = "linux")]
fn a_worker_whose_own_socket_listens_no_more_gets_another() {
    // Without another socket on the port, and with one.
    for count in 1..3 {
        let primary = Primary::start(Scheduling::ReusePort);
        let mut one = primary.worker(1);
        let (listener, port, mut socket) = one.listen_own(0);
        let mut other = primary.worker(2);
        let _sibling = (count == 2).then(|| other.listen_own(port));
        for asks in [false, true, true] {
            shutdown(socket.as_raw_fd(), Shutdown::Read).expect("a socket");
            if asks {
                one.send(&ToPrimary::Lost { listener }, None);
            }
            while !listen::is_listening(&socket) {
                socket = next_socket(&one, listener);
            }
            let clients = fill(port, &[&socket], 1);
            assert!(one.accept(&socket), "it listens on the same port");
            drop(clients);
        }
        // A worker whose socket still listens gets that socket again.
        one.send(&ToPrimary::Lost { listener }, None);
        assert_eq!(inode(&next_socket(&one, listener)), inode(&socket));
    }
}

/// Waits for the next socket of its own that a worker gets.
#[cfg(target_os = "linux")]
fn next_socket(worker: &Worker, of: ListenerId) -> OwnedFd {
    loop {
        wait_readable(worker.raw.as_fd());
        match worker.control.receive().expect("an order") {
            Received::Socket { listener, socket, slot: Some(0) } if listener == of => {
                return socket.expect("a socket");
            }
            Received::Probe => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_worker_gets_no_socket_of_what_it_does_not_serve() {
    let (_primary, [mut one, _other], _sockets, _) = two_with_own_sockets();
    one.close(1);
    for listener in [1, 1_000_000, 0] {
        one.send(&ToPrimary::Lost { listener }, None);
    }
    one.send(&ToPrimary::Close { listener: 7 }, None);
    wait_readable(one.raw.as_fd());
    assert!(matches!(one.control.receive(), Ok(Received::Closed(7))));
    assert!(!becomes_readable(one.raw.as_fd(), Duration::from_millis(50)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_socket_that_a_worker_may_have_kept_is_given_to_no_other() {
    let (primary, [mut odd, other], [kept, sibling], port) = two_with_own_sockets();
    odd.close(1);
    let mut next = primary.worker(3);
    let (_, _, socket) = next.listen_own(port);
    // Other workers serve connections that come to the kept socket.
    let clients = fill(port, &[&kept, &socket, &sibling], 1);
    for _ in &clients {
        match first_readable(&[&sibling, &other.polled, &socket, &next.polled].map(AsFd::as_fd)) {
            0 => assert!(other.accept(&sibling)),
            1 => other.serve(),
            2 => assert!(next.accept(&socket)),
            _ => next.serve(),
        }
    }
    assert!(clients.into_iter().all(|client| served_by(client) > 1));
    shutdown(kept.as_raw_fd(), Shutdown::Read).expect("a socket");
    assert!(listen::is_listening(&socket) && listen::is_listening(&sibling));
}

#[test]
#[cfg(target_os = "linux")]
fn a_socket_goes_to_the_worker_that_had_it_and_to_another_when_that_one_has_ended() {
    let (primary, [mut one, _other], [socket, _sibling], port) = two_with_own_sockets();
    let own = inode(&socket);
    one.close(1);
    let (_, _, again) = one.listen_own(port);
    assert_eq!(inode(&again), own);
    one.kill();
    primary.expect_exit(1, Exit::Signal(9));
    let (_, _, next) = primary.worker(3).listen_own(port);
    assert_eq!(inode(&next), own);
}

#[cfg(target_os = "linux")]
fn inode(socket: &OwnedFd) -> u64 {
    fstat(socket).expect("a socket").st_ino
}

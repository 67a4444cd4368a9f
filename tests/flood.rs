//! A flood of connections that no worker takes: the number of waiting connections is bounded, and they cost no
//! processor time. The engine's use of resources is read from `/proc`.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test may fail")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{Command as Process, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
    },
    unistd::{read, write},
};
use rs_cluster::{
    primary::{Command, Engine, Scheduling, Settings, fork::Adopted, ticket_keys::PERIOD},
    protocol::control::{Query, Target, ToPrimary},
    sys::{
        exit, lane,
        ring::{self, Ring, Side},
    },
    worker::{Connections, Control, Received, Taken},
};

const ATTEMPTS: usize = 100_000;

/// The resources that the engine uses.
#[derive(Debug)]
struct Use {
    descriptors: usize,
    /// Resident memory.
    kibibytes: u64,
}

fn used() -> Use {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kibibytes = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    Use { descriptors: fs::read_dir("/proc/self/fd").expect("descriptors").count(), kibibytes }
}

/// How much processor time the engine's thread has used.
fn engine_ran() -> Duration {
    let mut threads = fs::read_dir("/proc/self/task").expect("threads").flatten();
    let engine = threads.find(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "rs-cluster\n")
    });
    let counts = engine.map(|thread| fs::read_to_string(thread.path().join("schedstat")));
    let counts = counts.expect("an engine").expect("counts");
    let nanos = counts.split_ascii_whitespace().next().expect("a time").parse();
    Duration::from_nanos(nanos.expect("a number"))
}

/// Begins to connect, and resets the connection at once.
fn attempt(port: u16) {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let client = socket(AddressFamily::Inet, SockType::Stream, flags, None);
    let client = client.expect("a descriptor");
    let resets = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&client, sockopt::Linger, &resets).expect("a socket");
    // Once the backlog is full, connecting takes longer than this test waits.
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let _ = connect(client.as_raw_fd(), &address);
}

fn wait_readable(fd: &OwnedFd) {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let deadline = PollTimeout::from(20_000u16);
    assert_eq!(poll(&mut polled, deadline), Ok(1), "nothing came");
}

#[test]
fn the_number_of_waiting_connections_is_bounded() {
    let (sender, _events) = mpsc::channel();
    let mut engine = Engine::new(move |event| drop(sender.send(event)));
    let settings = Settings {
        scheduling: Scheduling::RoundRobin,
        debug_log: false,
        ticket_key_period: PERIOD,
    };
    engine.start(settings).expect("a thread");
    let (control, their_control) = lane::packet_pair().expect("a lane");
    let (hand_off, their_hand_off) = lane::packet_pair().expect("a lane");
    lane::limit_send_buffer(&hand_off, 5000).expect("a small buffer");
    let ring = Ring::map(ring::create().expect("memory"), Side::Primary).expect("a mapping");
    let mut process = Process::new("cat").stdin(Stdio::piped()).spawn().expect("a process");
    let pid = process.id().cast_signed();
    let adopted = Adopted {
        id: 1,
        process: Arc::new(exit::Process::watch(pid).expect("a child")),
        control,
        hand_off,
        reclaim: their_hand_off.try_clone().expect("a duplicate"),
        watchdog: None,
        inspect_port: None,
        counters: ring.counters.clone(),
        queue_timeout: Duration::ZERO,
        is_other_user: false,
    };
    engine.send(Command::Adopt(adopted)).expect("a running engine");
    let polled = their_control.try_clone().expect("a duplicate");
    let mut control = Control::new(their_control);
    let target = Target::Tcp { address: Some("127.0.0.1".into()), port: 0 };
    let listen =
        ToPrimary::Listen { seq: 1, query: Query::new(target), data: None, is_http: false };
    control.send(&listen, None).expect("a request");
    wait_readable(&polled);
    let Ok(Received::Reply(reply, _)) = control.receive() else {
        unreachable!("only replies come");
    };
    let port = reply.address.expect("an address").port;

    // All connections together need no more than the first ones.
    (0..2000).for_each(|_| attempt(port));
    let before = used();
    (0..ATTEMPTS).for_each(|_| attempt(port));
    let after = used();
    assert!(after.descriptors <= before.descriptors + 2, "{before:?} {after:?}");
    assert!(after.kibibytes < before.kibibytes + 2048, "{before:?} {after:?}");
    let stats = engine.stats();
    let waiting = stats.listeners[0].waiting + stats.workers[0].waiting;
    assert!((2..40).contains(&waiting), "{stats:?}");

    // The engine's thread has hardly run: in a loop, it would have used all the time.
    let (begin, ran) = (Instant::now(), engine_ran());
    std::thread::sleep(Duration::from_millis(500));
    let (elapsed, ran) = (begin.elapsed(), engine_ran() - ran);
    assert!(ran * 5 < elapsed, "{ran:?} in {elapsed:?}");

    // All those clients have gone, and the next client is served.
    let client = std::thread::spawn(move || {
        let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a server");
        std::io::Write::write_all(&mut client, b"?").expect("a connection");
        std::io::Read::read(&mut client, &mut [0; 8])
    });
    let lane = their_hand_off.try_clone().expect("a duplicate");
    let connections = Connections::new(their_hand_off);
    loop {
        wait_readable(&lane);
        let Ok(Taken::Connection(_, connection)) = connections.take() else {
            unreachable!("only connections come");
        };
        ring.counters.add_taken();
        let mut question = [0; 8];
        wait_readable(&connection);
        if read(&connection, &mut question) == Ok(1) {
            write(&connection, b"!").expect("a client");
            break;
        }
    }
    assert!(matches!(client.join(), Ok(Ok(1))));
    drop(process.stdin.take());
    process.wait().ok();
}

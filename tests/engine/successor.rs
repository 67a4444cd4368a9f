//! A primary that is to take over: this test's own program, started again, which plays what the variable says.

use std::{
    env,
    io::Write,
    os::unix::process::CommandExt,
    process::{Command as Child, exit},
};

use nix::sys::signal::{Signal, raise};
use rs_cluster::{
    protocol::{
        control::{MAX_PACKET, decode, encode},
        upgrade::{Taken as TakenListener, ToPredecessor, ToSuccessor},
    },
    sys::{failure::Failure, inherit, socket::Nature, socket::nature},
};

use super::*;

/// The variable.
pub(super) const PLAY: &str = "RS_CLUSTER_TEST_PLAY";

/// Its name as a test.
pub(super) const NAME: &str = "successor::plays_what_the_variable_says";

/// What a client reads that it serves.
pub(super) const SUCCESSOR: WorkerId = 200;

/// The number of its end of a stream to the test.
const STREAM: i32 = 3;

#[test]
#[ignore = "started by other tests as a process of its own"]
fn plays_what_the_variable_says() {
    let Ok(play) = env::var(PLAY) else { return };
    let mut player = Player::new();
    play.split(' ').for_each(|step| player.play(step));
    exit(0);
}

struct Player {
    lane: OwnedFd,
    stream: UnixStream,
    listeners: Vec<ListenerId>,
    sockets: Vec<OwnedFd>,
    /// How many connections it has accepted, and got as new ones and as idle ones.
    counts: [usize; 3],
    idle: Vec<OwnedFd>,
}

impl Player {
    fn new() -> Self {
        let number = env::var("RS_CLUSTER_UPGRADE").expect("a variable").parse();
        let lane = inherit(number.expect("a number"), lane::Kind::Packets).expect("a lane");
        let stream = inherit(STREAM, lane::Kind::Stream).expect("a stream");
        let (listeners, sockets, counts, idle) = Default::default();
        Self { lane, stream: stream.into(), listeners, sockets, counts, idle }
    }

    #[expect(clippy::zombie_processes, reason = "ended with this process")]
    fn play(&mut self, step: &str) {
        let (step, number) = step.split_once(':').unwrap_or((step, "1"));
        let number: u32 = number.parse().expect("a number");
        let hello = ToPredecessor::Hello {
            oldest: number,
            newest: number,
            version: "0.0.0".into(),
            node: "v0.0.0".into(),
        };
        match step {
            "tell" => self.tell("here"),
            "wait" => drop(self.stream.read_exact(&mut [0])),
            "hello" => self.send(&hello),
            "offered" => while self.receive() != ToSuccessor::Offered {},
            "ready" => {
                let takes = self.listeners.iter();
                let takes = takes.map(|&listener| TakenListener { listener, is_http: number == 1 });
                self.send(&ToPredecessor::Ready { takes: takes.collect() });
            }
            "nothing" => self.send(&ToPredecessor::Ready { takes: Vec::new() }),
            "commit" => while self.receive() != ToSuccessor::Commit {},
            "serving" => self.send(&ToPredecessor::Serving),
            "main" => while self.receive() != ToSuccessor::Main {},
            "serve" => self.serve(),
            "failed" => self.send(&ToPredecessor::Failed { reason: "no database".into() }),
            "packet" => self.send_bytes(&vec![b'x'; number as usize], None),
            "cut" => self.send_bytes(br#"{"act":"hel"#, None),
            "descriptor" => {
                let descriptor = self.lane.try_clone().expect("a duplicate");
                self.send_bytes(&encode(&hello).expect("a packet"), Some(descriptor.as_fd()));
            }
            "flood" => loop {
                self.send(&hello);
            },
            "close" => drop(std::mem::replace(&mut self.lane, lane::pipe().expect("a pipe").0)),
            "child" => {
                let mut child = Child::new("sleep");
                if number == 0 {
                    child.process_group(0);
                }
                let child = child.arg("600").spawn().expect("a process");
                self.tell(&child.id().to_string());
            }
            "stubborn" => {
                // Nothing but SIGKILL ends it.
                let mut set = nix::sys::signal::SigSet::all();
                set.remove(Signal::SIGKILL);
                set.thread_block().expect("signals");
            }
            "hang" => loop {
                std::thread::sleep(DEADLINE);
            },
            "kill" => raise(Signal::SIGKILL).expect("a signal"),
            "exit" => exit(number.cast_signed()),
            other => panic!("{other}"),
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.stream, "{line}").expect("a test that reads");
    }

    fn send(&self, message: &ToPredecessor) {
        self.send_bytes(&encode(message).expect("a packet"), None);
    }

    fn send_bytes(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) {
        loop {
            match lane::send_packet(&self.lane, bytes, descriptor) {
                Ok(()) => return,
                Err(Failure::WouldBlock) => wait_for(self.lane.as_fd(), PollFlags::POLLOUT),
                // The test sees how this ends.
                Err(_) => exit(9),
            }
        }
    }

    /// The next message. What comes with it is kept.
    fn receive(&mut self) -> ToSuccessor {
        wait_readable(self.lane.as_fd());
        let packet =
            lane::receive_packet_with_descriptor(&self.lane, MAX_PACKET).expect("a packet");
        if packet.is_end {
            exit(8);
        }
        let message = decode(&packet.bytes, packet.length).expect("a message");
        match &message {
            ToSuccessor::Listener(listener) => self.listeners.push(listener.listener),
            ToSuccessor::Socket { listener } => {
                assert!(self.listeners.contains(listener));
                self.sockets.push(packet.descriptor.expect("a socket"));
            }
            ToSuccessor::Connection { .. } => {
                self.counts[1] += 1;
                answer(&packet.descriptor.expect("a connection"));
            }
            ToSuccessor::Parked { .. } => {
                self.counts[2] += 1;
                self.idle.push(packet.descriptor.expect("a connection"));
            }
            _ => {}
        }
        message
    }

    /// Serves until the test ends, and tells it when nothing more comes.
    fn serve(&mut self) {
        self.sockets.retain(|socket| nature(socket) != Some(Nature::Udp));
        let mut is_done = false;
        loop {
            let lane = (!is_done).then_some(self.lane.as_fd());
            let stream = self.stream.as_fd();
            let mut polled = vec![PollFd::new(stream, PollFlags::POLLIN)];
            let idle = self.idle.iter().map(AsFd::as_fd);
            let rest = idle.chain(self.sockets.iter().map(AsFd::as_fd)).chain(lane);
            polled.extend(rest.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            poll(&mut polled, PollTimeout::NONE).expect("a poll");
            let ready: Vec<_> = polled.iter().map(|it| it.any() == Some(true)).collect();
            drop(polled);
            if ready[0] {
                exit(0);
            }
            let (idle, sockets) = ready[1..].split_at(self.idle.len());
            for (socket, _) in self.sockets.iter().zip(sockets).filter(|(_, is_ready)| **is_ready) {
                while let Ok(Some(connection)) = listen::accept(socket) {
                    self.counts[0] += 1;
                    answer(&connection);
                }
            }
            let mut is_ready = idle.iter();
            for connection in self.idle.extract_if(.., |_| is_ready.next() == Some(&true)) {
                answer(&connection);
            }
            if !is_done && ready.last() == Some(&true) && self.receive() == ToSuccessor::Done {
                is_done = true;
                let [accepted, new, idle] = self.counts;
                self.tell(&format!("{accepted} accepted, {new} new, {idle} idle"));
            }
        }
    }
}

fn answer(connection: &OwnedFd) {
    // Its client may have gone.
    let _ = write(connection, &[SUCCESSOR.to_le_bytes()[0]]);
    let _ = nix::unistd::read(connection, &mut [0; 64]);
}

//! Two honest ends of an IPC channel, and event loops that know nothing but what a channel tells
//! them: everything arrives, once, in order, with its descriptor, and nothing waits for ever.

#![no_main]

use std::{collections::VecDeque, os::fd::BorrowedFd};

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rs_cluster::{
    error::{Error, Result},
    ipc::{Channel, Incoming, Reading, Rest},
    protocol::{frame::Kind, handle::HandleType},
};
use rs_cluster_fuzz::{Length, Sort, are_same, channel, fitting, handle_type, open_descriptors};

/// Bytes sent by both in one run, about, and handles: the kernel has a limit of those on their way.
const BYTES: usize = 4 << 20;
const HANDLES: usize = 100;

/// Turns of the event loops after which they would have come to rest.
const TURNS: usize = 10_000;

#[derive(Debug, Arbitrary)]
struct Input {
    steps: Vec<Step>,
    /// Who ends the channel, and how, after a turn of the peer or not.
    end: Option<(Who, Way)>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Who {
    One,
    Other,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Way {
    /// As JavaScript closes it.
    Close,
    /// As the process dies.
    Die,
    /// While others hold the same end.
    ShutDown,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Send(Who, Sort, Length),
    SendHandle(Who, u8, Length),
    /// The same short message many times: positions go round.
    Burst(Who, u8, Length),
    /// One turn of the event loop.
    Turn(Who),
    /// A turn for the memory alone, which nothing asked for.
    Look(Who),
    /// The event loops go on until there is nothing to do.
    Settle,
}

struct Message {
    number: usize,
    kind: Kind,
    length: usize,
    handle: Option<HandleType>,
}

impl Message {
    fn payload(&self) -> Vec<u8> {
        let mut payload = vec![self.number as u8; self.length];
        if let Some(first) = payload.first_chunk_mut() {
            *first = (self.number as u32).to_le_bytes();
        }
        payload
    }
}

/// One end, and the half of an event loop that serves it.
struct End {
    channel: Channel,
    reading: Reading,
    rest: Rest,
    /// Messages sent, and how many of them the channel says are gone.
    sent: usize,
    gone: usize,
    received: usize,
    /// On their way to this end.
    expected: VecDeque<Message>,
}

impl End {
    fn new(channel: Channel) -> Self {
        let expected = VecDeque::new();
        let (reading, rest) = (Reading::Open, Rest::Asleep);
        Self { channel, reading, rest, sent: 0, gone: 0, received: 0, expected }
    }

    fn send(&mut self, message: &Message) -> Result<()> {
        let handle = message.handle.map(|handle| (handle, fitting(handle)));
        let queued = self.channel.send(message.kind, message.payload(), handle)?;
        self.sent += 1;
        self.gone += usize::from(queued == 0);
        Ok(())
    }

    fn ready(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::POLLIN, self.reading != Reading::Ended);
        interest.set(PollFlags::POLLOUT, !self.channel.is_idle());
        if interest.is_empty() {
            return interest;
        }
        // SAFETY: the channel keeps it open.
        let stream = unsafe { BorrowedFd::borrow_raw(self.channel.fd()) };
        let mut polled = [PollFd::new(stream, interest)];
        poll(&mut polled, PollTimeout::ZERO).expect("poll");
        polled[0].revents().expect("flags that were asked for")
    }

    /// Does what the event loop would; false if it would wait.
    fn turn(&mut self) -> bool {
        let ready = self.ready();
        let ends = ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
        let mut works = false;
        if !self.channel.is_idle() && ready.contains(PollFlags::POLLOUT) && !ends {
            let flushed = self.channel.flush().expect("a peer");
            assert!(flushed.refused.is_none(), "{:?}", flushed.refused);
            self.gone += flushed.messages;
            works = true;
        }
        if self.reading != Reading::Ended && self.rest == Rest::Awake {
            self.receive(false);
            works = true;
        }
        if self.reading != Reading::Ended && (ready.contains(PollFlags::POLLIN) || ends) {
            self.receive(true);
            works = true;
        }
        works
    }

    fn receive(&mut self, from_stream: bool) {
        let Self { channel, expected, received, .. } = self;
        let take = |incoming: Incoming<'_>| {
            let message = expected.pop_front().expect("nothing was sent");
            assert_eq!(incoming.kind, message.kind);
            assert!(*incoming.payload == message.payload(), "message {}", message.number);
            assert_eq!(incoming.handle.as_ref().map(|(handle, _)| *handle), message.handle);
            if let Some((handle, descriptor)) = incoming.handle {
                assert!(are_same(descriptor.expect("a descriptor"), fitting(handle)));
            }
            *received += 1;
            Ok(())
        };
        if from_stream {
            self.reading = channel.receive(take).expect("no garbage");
        } else {
            channel.receive_more(take).expect("no garbage");
        }
        self.rest = channel.rest().expect("no garbage");
    }
}

struct Pair {
    one: End,
    other: End,
    bytes: usize,
    handles: usize,
}

impl Pair {
    fn new() -> Self {
        let (one, other) = channel();
        Self { one: End::new(one), other: End::new(other), bytes: 0, handles: 0 }
    }

    /// This end, and its peer.
    fn ends(&mut self, who: Who) -> (&mut End, &mut End) {
        match who {
            Who::One => (&mut self.one, &mut self.other),
            Who::Other => (&mut self.other, &mut self.one),
        }
    }

    fn send(&mut self, who: Who, kind: Kind, length: usize, handle: Option<HandleType>) {
        self.bytes += length;
        self.handles += usize::from(handle.is_some());
        if self.bytes > BYTES || self.handles > HANDLES {
            return;
        }
        let (from, to) = self.ends(who);
        let message = Message { number: from.sent, kind, length, handle };
        from.send(&message).expect("a peer");
        to.expected.push_back(message);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Send(who, sort, length) => {
                let length = length.get().min(sort.kind().limit());
                self.send(who, sort.kind(), length, None);
            }
            Step::SendHandle(who, handle, length) => {
                self.send(who, Kind::Text, length.get(), Some(handle_type(handle)));
            }
            Step::Burst(who, count, length) => {
                for _ in 0..count {
                    self.send(who, Kind::Bytes, length.get() % 4096, None);
                }
            }
            Step::Turn(who) => {
                self.ends(who).0.turn();
            }
            Step::Look(who) => self.ends(who).0.receive(false),
            Step::Settle => self.settle(),
        }
    }

    fn settle(&mut self) {
        let mut turns = 0;
        while self.one.turn() | self.other.turn() {
            turns += 1;
            assert!(turns < TURNS, "the event loops spin");
        }
        for end in [&self.one, &self.other] {
            assert_eq!(end.expected.len(), 0, "messages that are never read");
            assert!(end.channel.is_idle());
            assert_eq!(end.gone, end.sent, "messages said to be gone, of those sent");
        }
    }

    /// What has gone arrives, and then the end.
    fn end(self, who: Who, way: Way) {
        let (ended, mut left) = match who {
            Who::One => (self.one, self.other),
            Who::Other => (self.other, self.one),
        };
        let gone = ended.gone;
        if !matches!(way, Way::Die) {
            ended.channel.shutdown().expect("an end");
        }
        let held = matches!(way, Way::ShutDown).then_some(ended);
        // What is sent in vain is an error, unless it waits behind something else.
        let message = Message { number: 0, kind: Kind::Text, length: 40_000, handle: None };
        let sent = left.send(&message);
        assert!(matches!(sent, Err(Error::Gone)) || !left.channel.is_idle());
        let mut turns = 0;
        while left.turn() {
            turns += 1;
            assert!(turns < TURNS, "the event loop spins");
        }
        assert_eq!(left.reading, Reading::Ended);
        assert!(left.received >= gone, "{} came of {gone}", left.received);
        drop(held);
    }
}

fuzz_target!(|input: Input| {
    let before = open_descriptors();
    let mut pair = Pair::new();
    for step in &input.steps {
        pair.step(step);
    }
    match input.end {
        Some((who, way)) => pair.end(who, way),
        None => {
            pair.settle();
            drop(pair);
        }
    }
    assert_eq!(open_descriptors(), before, "descriptors left open, or closed twice");
});

//! One honest end of an IPC channel, and a peer that does what it likes with the stream, the memory
//! and the descriptors: there are messages, an error or the end, but no panic, no descriptor is
//! left open, and no memory is taken for what has not come.

#![no_main]

use std::{
    fs::File,
    io::IoSlice,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rs_cluster::{
    ipc::{Channel, Incoming, Reading},
    protocol::{control::COUNTER_SLOTS, frame::HEADER},
    sys::{lane, ring::CAPACITY},
};
use rs_cluster_fuzz::{
    Bounded, Length, Sort, any_descriptor, fitting, half_a_channel, handle_type, largest_request,
    open_descriptors,
};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Bytes received in one run, about.
const BYTES: usize = 2 << 20;

/// What a run may ask for at once, however little comes: the room that the decoder makes for a frame
/// before it has come. The longest message that is sent fits twice.
const LITTLE: usize = 1024 * 1024;

/// Where things are in the memory (`src/sys/ring/layout.rs`): the positions and flags of the one who writes
/// a direction and of the one who reads it, then its bytes. First is the honest end's direction, last
/// what the worker counts.
const WRITER: u64 = 0;
const READER: u64 = 64;
const AWAKE: u64 = 4;
const DATA: u64 = 128;
const DIRECTION: u64 = DATA + CAPACITY as u64;
const STATES: u64 = 64 * 1024;
const COUNTS: u64 = (16 + 8 * COUNTER_SLOTS as u64).next_multiple_of(128) + STATES;
const MEMORY: u64 = 2 * DIRECTION + COUNTS;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    // The honest end.
    Send(Sort, Length),
    SendHandle(u8, Length),
    Flush,
    Receive,
    ReceiveMore,
    ShutDown,
    // The peer, by the stream.
    Bytes(&'a [u8], Descriptors),
    Frame { kind: u8, handle: u8, announced: Length, sent: Length, descriptors: Descriptors },
    Read(u16),
    HangUp,
    // The peer, by the memory.
    Write { kind: u8, handle: u8, announced: Length, sent: Length },
    Advance(i32),
    Scribble { at: u32, bytes: &'a [u8] },
    Position { of_writer: bool, in_our_direction: bool, value: u32 },
    Wanted { awake: u32 },
}

/// What the peer sends along.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Descriptors {
    None,
    Any(u8),
    /// What the type of handle has to be.
    Fitting(u8),
    /// The end of the channel by which it is sent.
    Itself,
    Several(u8),
}

impl Descriptors {
    fn get(self, stream: &OwnedFd) -> Vec<OwnedFd> {
        match self {
            Self::None => Vec::new(),
            Self::Any(number) => vec![any_descriptor(number)],
            Self::Fitting(handle) => vec![fitting(handle_type(handle))],
            Self::Itself => vec![stream.try_clone().expect("a descriptor")],
            Self::Several(count) => (0..count % 8).map(any_descriptor).collect(),
        }
    }
}

fn frame(kind: u8, handle: u8, announced: usize, sent: usize) -> Vec<u8> {
    let mut frame = vec![kind; HEADER + sent];
    frame[..4].copy_from_slice(&(announced as u32).to_le_bytes());
    frame[4..HEADER].copy_from_slice(&[kind, handle, 0, 0]);
    frame
}

struct Peer {
    /// `None` after it hung up.
    stream: Option<OwnedFd>,
    memory: File,
    /// How far it has written.
    position: u32,
}

impl Peer {
    fn send(&self, bytes: &[u8], descriptors: Descriptors) {
        let Some(stream) = &self.stream else { return };
        let descriptors = descriptors.get(stream);
        let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() { &[][..] } else { &rights };
        // Where the stream is full, or was shut down, the peer has bad luck.
        let slices = [IoSlice::new(bytes)];
        let _ = sendmsg::<()>(stream.as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None);
    }

    fn set(&self, at: u64, value: u32) {
        self.memory.write_all_at(&value.to_le_bytes(), at).expect("the memory");
    }

    /// Writes as a ring does, without asking for room.
    fn write(&mut self, bytes: &[u8]) {
        for (index, piece) in bytes.chunks(CAPACITY).enumerate() {
            let start = (self.position as usize + index * CAPACITY) % CAPACITY;
            let (first, rest) = piece.split_at(piece.len().min(CAPACITY - start));
            let data = DIRECTION + DATA;
            self.memory.write_all_at(first, data + start as u64).expect("the memory");
            self.memory.write_all_at(rest, data).expect("the memory");
        }
        self.advance(bytes.len() as u32);
    }

    fn advance(&mut self, count: u32) {
        self.position = self.position.wrapping_add(count);
        self.set(DIRECTION + WRITER, self.position);
    }

    fn scribble(&self, at: u32, bytes: &[u8]) {
        let at = u64::from(at) % MEMORY;
        let room = (MEMORY - at) as usize;
        let bytes = &bytes[..bytes.len().min(room)];
        self.memory.write_all_at(bytes, at).expect("the memory");
    }
}

struct Run {
    honest: Channel,
    /// Whether it still reads: an error is the last that a channel says.
    reads: bool,
    peer: Peer,
}

impl Run {
    fn new() -> Self {
        let (honest, stream, memory) = half_a_channel();
        let memory = File::from(memory);
        assert_eq!(memory.metadata().expect("a file").len(), MEMORY, "as laid out here");
        let peer = Peer { stream: Some(stream), memory, position: 0 };
        Self { honest, reads: true, peer }
    }

    fn step(&mut self, step: &Step<'_>) {
        let peer = &mut self.peer;
        match *step {
            Step::Send(sort, length) => {
                let payload = vec![b'x'; length.get()];
                let _ = self.honest.send(sort.kind(), payload, None);
            }
            Step::SendHandle(handle, length) => {
                let handle = handle_type(handle);
                let payload = vec![b'h'; length.get()];
                let handle = Some((handle, fitting(handle)));
                let _ = self.honest.send(Sort::Text.kind(), payload, handle);
            }
            Step::Flush => drop(self.honest.flush()),
            Step::Receive => self.receive(true),
            Step::ReceiveMore => self.receive(false),
            Step::ShutDown => self.honest.shutdown().expect("an end"),
            Step::Bytes(bytes, descriptors) => peer.send(bytes, descriptors),
            Step::Frame { kind, handle, announced, sent, descriptors } => {
                // Most are true to what they announce.
                let sent = if sent.get() % 4 == 0 { sent.get() } else { announced.get() };
                peer.send(&frame(kind, handle, announced.get(), sent), descriptors);
            }
            Step::Read(count) => {
                if let Some(stream) = &peer.stream {
                    let _ = lane::receive(stream, &mut vec![0; count.into()]);
                }
            }
            Step::HangUp => peer.stream = None,
            Step::Write { kind, handle, announced, sent } => {
                let sent = if sent.get() % 4 == 0 { sent.get() } else { announced.get() };
                peer.write(&frame(kind, handle, announced.get(), sent));
            }
            Step::Advance(count) => peer.advance(count as u32),
            Step::Scribble { at, bytes } => peer.scribble(at, bytes),
            Step::Position { of_writer, in_our_direction, value } => {
                let direction = if in_our_direction { 0 } else { DIRECTION };
                peer.set(direction + if of_writer { WRITER } else { READER }, value);
            }
            Step::Wanted { awake } => peer.set(READER + AWAKE, awake),
        }
    }

    fn receive(&mut self, from_stream: bool) {
        if !self.reads {
            return;
        }
        let take = |_: Incoming<'_>| Ok(());
        let open = match from_stream {
            true => matches!(self.honest.receive(take), Ok(Reading::Open)),
            false => self.honest.receive_more(take).is_ok(),
        };
        self.reads = open && self.honest.rest().is_ok();
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let before = open_descriptors();
    largest_request();
    let mut run = Run::new();
    for step in &steps {
        run.step(step);
        if run.honest.received() > BYTES {
            break;
        }
    }
    // What has come to it may go on for as long as there is some.
    for _ in 0..100 {
        run.receive(true);
    }
    let (asked, came) = (largest_request(), run.honest.received());
    assert!(asked <= LITTLE + 2 * came, "{asked} bytes of memory for {came} that came");
    drop(run);
    assert_eq!(open_descriptors(), before, "descriptors left open, or closed twice");
});

//! The IPC channel: frames that go by memory, or by a stream, the same at both ends.
//!
//! Small frames go through a [`ring`](crate::sys::ring) of shared memory, without a system call
//! unless the reader sleeps. The stream wakes it then, with a frame of [`Kind::Wake`], and carries
//! what the memory has no room for, or can't carry: large frames, and those with a descriptor. Where
//! the frames go on in the other of the two, the writer puts a frame of [`Kind::Switch`], so there
//! is one order of all frames.
//!
//! A [`Channel`] does the reading, writing and queueing and knows no event loop: its owner calls
//! it when the stream is ready, and asks [`Channel::is_idle`] whether to wait for room.

mod adaptive_spin;
mod handle;
mod outgoing;
mod packets;

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::IoSlice,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    thread,
    time::{Duration, Instant},
};

use adaptive_spin::AdaptiveSpin;
pub use outgoing::Flushed;
use outgoing::{Chunk, Outgoing};
pub use packets::Packets;

use crate::{
    error::{Error, Result},
    protocol::{
        frame::{self, Decoder, HEADER, Kind, parse_header},
        handle::HandleType,
    },
    sys::{
        failure::{Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane, Received},
        ring::{Reader, Ring, SharedCounters, Writer},
    },
};

/// Reads of one readiness, at most: other events of the loop want their turn.
const READS_A_TURN: usize = 16;

/// The longest payload that goes by memory; the stream has no more to do for a longer one than for
/// a short one.
const LONGEST_IN_MEMORY: usize = 32 * 1024;

/// Payloads below this length are queued with their header in one piece.
const SHORT: usize = 4 * 1024;

/// How long a process that ends goes on for a peer which reads, however slowly.
const LONGEST_EXIT_FLUSH: Duration = Duration::from_secs(10);

/// A whole message that has come in.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub payload: Cow<'a, [u8]>,
    /// What came along. The descriptor is missing where this process had no room for it.
    pub handle: Option<(HandleType, Option<OwnedFd>)>,
}

/// Whether more can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It can.
    Open,
    /// The peer has closed its end, or died. All it sent has been received.
    Ended,
}

/// How the reader hears of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The stream becomes readable.
    Asleep,
    /// There is some already.
    Awake,
}

/// Where frames go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Memory,
    Stream,
}

/// One end of an IPC channel.
pub struct Channel {
    stream: OwnedFd,
    /// Whether the peer has the memory too.
    has_memory: bool,
    writer: Writer,
    reader: Reader,
    counters: SharedCounters,
    /// Where the next frame is to be written.
    writing: Way,
    /// Where the next frame is to be read.
    reading: Way,
    decoder: Decoder,
    /// A frame from memory.
    copy: Vec<u8>,
    /// Descriptors whose frames are not whole yet, or places of those that were lost.
    arrived: VecDeque<Option<OwnedFd>>,
    outgoing: Outgoing,
    /// Why the stream takes nothing more, if so.
    broken: Option<Fault>,
    /// Whether the peer's end takes nothing more: the peer has ended, or does not want to read.
    has_no_reader: bool,
    /// Whether the last read met a shortage, so that the stream does not tell when to go on.
    reads_later: bool,
    received: usize,
    spin: AdaptiveSpin,
}

impl Channel {
    /// `stream` is one end of a [`lane::stream_pair`].
    pub fn new(stream: OwnedFd, ring: Ring) -> Self {
        let has_memory = ring.is_shared();
        let Ring { writer, reader, counters } = ring;
        // Without memory there is no other way, and no switch to it.
        let way = if has_memory { Way::Memory } else { Way::Stream };
        Self {
            stream,
            has_memory,
            writer,
            reader,
            counters,
            writing: way,
            reading: way,
            decoder: Decoder::default(),
            copy: Vec::new(),
            arrived: VecDeque::new(),
            outgoing: Outgoing::default(),
            broken: None,
            has_no_reader: false,
            reads_later: false,
            received: 0,
            spin: AdaptiveSpin::default(),
        }
    }

    /// The number of the stream's descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Bytes that have come in, altogether.
    pub fn received(&self) -> usize {
        self.received
    }

    /// Bytes that are there to be received, as far as is known.
    pub fn unread(&self) -> usize {
        let in_stream = lane::unread(&self.stream).unwrap_or(0);
        let in_memory = self.reader.unread().unwrap_or(0);
        in_memory.saturating_add(usize::try_from(in_stream).unwrap_or(usize::MAX))
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Whether what is queued is to be [`flush`](Self::flush)ed after [`SHORTAGE_PAUSE`], rather than
    /// when the stream is writable.
    pub fn sends_later(&self) -> bool {
        self.outgoing.is_short && !self.is_idle()
    }

    /// Whether to [`receive`](Self::receive) after [`SHORTAGE_PAUSE`], rather than when the stream is
    /// readable.
    pub fn receives_later(&self) -> bool {
        self.reads_later
    }

    /// Why [`send`](Self::send) only queues any more, if so: the lane is to be given up.
    pub fn fault(&self) -> Option<Fault> {
        self.broken
    }

    /// Whether what is sent can't reach the peer. If the end of what it sends does not follow at once, the
    /// peer lives, and the lane is to be given up.
    pub fn has_no_reader(&self) -> bool {
        self.has_no_reader
    }

    /// Sends a message behind those already queued, at once if there are none. Says how many bytes
    /// are queued then, this message's among them, or 0 when it has gone.
    ///
    /// # Errors
    /// [`Error::Gone`], [`Error::Fault`] when the descriptor can't be sent, [`Error::Frame`]
    /// when the payload is too long, [`Error::Memory`] when the peer has spoilt the memory. In all
    /// cases the message is not sent. Without a descriptor, a fault is the lane's:
    /// [`fault`](Self::fault) has it.
    pub fn send(
        &mut self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<usize> {
        if handle.is_none() && self.send_by_memory(kind, &payload)? {
            self.counters.add_message();
            return Ok(0);
        }
        self.write_by_stream()?;
        self.send_by_stream(kind, payload, handle)?;
        self.counters.add_message();
        Ok(self.outgoing.len())
    }

    /// Whether the frame could go by memory, and went.
    fn send_by_memory(&mut self, kind: Kind, payload: &[u8]) -> Result<bool> {
        if !self.has_memory {
            return Ok(false);
        }
        // There is always room for a switch left.
        let needed = HEADER + payload.len() + HEADER;
        if payload.len() > LONGEST_IN_MEMORY || needed > self.writer.room() {
            return Ok(false);
        }
        if self.writing == Way::Stream && !self.write_by_memory()? {
            return Ok(false);
        }
        let header = frame::header(kind, None, payload.len())?;
        self.writer.write(&[&header, payload]);
        // What waits in the stream wakes the reader as well.
        if self.writer.must_wake() && self.is_idle() {
            let wake = frame::header(Kind::Wake, None, 0)?;
            match self.write(&[IoSlice::new(&wake)], None) {
                // A full stream has something to read, which wakes the reader.
                Ok(0) if !self.outgoing.is_short => {}
                Ok(sent) if sent < wake.len() => self.queue(wake.to_vec(), sent),
                // Its end is about to be read.
                Ok(_) | Err(Error::Gone) => {}
                Err(Error::Fault(fault)) => self.broken = Some(fault),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes to the stream, and says how many bytes it took.
    fn write(
        &mut self,
        slices: &[IoSlice<'_>],
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<usize> {
        if self.broken.is_some() {
            return Ok(0);
        }
        let sent = lane::send(&self.stream, slices, descriptor);
        self.outgoing.is_short = matches!(sent, Err(Failure::Shortage(_)));
        match sent {
            Ok(sent) => Ok(sent),
            Err(Failure::WouldBlock | Failure::Shortage(_)) => Ok(0),
            Err(Failure::Gone) => {
                self.give_up_sending();
                Err(Error::Gone)
            }
            Err(Failure::Fault(fault)) => Err(fault.into()),
        }
    }

    /// Nothing waits for room any more, which there would always seem to be.
    fn give_up_sending(&mut self) {
        self.has_no_reader = true;
        self.outgoing.clear();
    }

    /// Has the frames go on in the memory, if the stream takes the switch: what is in the memory is
    /// said to be gone, and nobody would look there if this process died with the switch.
    fn write_by_memory(&mut self) -> Result<bool> {
        if !self.is_idle() {
            return Ok(false);
        }
        let switch = frame::header(Kind::Switch, None, 0)?;
        let sent = match self.write(&[IoSlice::new(&switch)], None) {
            Ok(0) => return Ok(false),
            Err(Error::Fault(fault)) => {
                self.broken = Some(fault);
                return Ok(false);
            }
            sent => sent?,
        };
        self.writing = Way::Memory;
        if sent < switch.len() {
            self.queue(switch.to_vec(), sent);
        }
        Ok(self.is_idle())
    }

    /// Has the frames go on in the stream.
    fn write_by_stream(&mut self) -> Result<()> {
        if self.writing == Way::Memory {
            let switch = frame::header(Kind::Switch, None, 0)?;
            if !self.writer.write(&[&switch]) {
                return Err(Error::Memory);
            }
            self.writing = Way::Stream;
        }
        Ok(())
    }

    fn send_by_stream(
        &mut self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<()> {
        let (handle, mut descriptor) = handle.unzip();
        let header = frame::header(kind, handle, payload.len())?;
        let mut sent = 0;
        if self.is_idle() {
            let slices = [IoSlice::new(&header), IoSlice::new(&payload)];
            sent = match self.write(&slices, descriptor.as_ref().map(AsFd::as_fd)) {
                Err(Error::Fault(fault)) if descriptor.is_none() => {
                    self.broken = Some(fault);
                    0
                }
                sent => sent?,
            };
            if sent == header.len() + payload.len() {
                return Ok(());
            }
            if sent > 0 {
                descriptor = None;
            }
        }
        if !payload.is_empty() && payload.len() < SHORT {
            let bytes = [header.as_slice(), &payload].concat();
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message: true });
            return Ok(());
        }
        if sent < header.len() {
            let ends_message = payload.is_empty();
            let bytes = header.to_vec();
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message });
        }
        if !payload.is_empty() {
            let sent = sent.saturating_sub(header.len());
            let (bytes, sent) = match payload {
                Cow::Owned(payload) => (payload, sent),
                Cow::Borrowed(payload) => (payload[sent..].to_vec(), 0),
            };
            self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: true });
        }
        Ok(())
    }

    /// Queues the rest of a frame that is no message.
    fn queue(&mut self, bytes: Vec<u8>, sent: usize) {
        self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: false });
    }

    /// Writes what is queued until the stream is full, or refuses a message.
    ///
    /// # Errors
    /// [`Error::Gone`] when nobody will read it, which drops it; or [`Error::Fault`]: the lane is to be given
    /// up.
    pub fn flush(&mut self) -> Result<Flushed> {
        if let Some(fault) = self.broken {
            return Err(fault.into());
        }
        let flushed = self.outgoing.flush(&self.stream);
        if matches!(flushed, Err(Error::Gone)) {
            self.give_up_sending();
        }
        flushed
    }

    /// Sends what is queued, and waits for room, as long as the peer makes some within `patience`, and
    /// altogether no longer than [`LONGEST_EXIT_FLUSH`]. Says whether all is sent, or nobody left to read it. Only
    /// for a process that is about to end: it blocks.
    pub fn flush_on_exit(&mut self, patience: Duration) -> bool {
        let mut left = patience;
        let deadline = Instant::now() + LONGEST_EXIT_FLUSH;
        while !self.is_idle()
            && Instant::now() < deadline
            && lane::wait_writable(&self.stream, patience)
        {
            if self.flush().is_err() {
                return true;
            }
            if !self.sends_later() {
                left = patience;
            } else if left.is_zero() {
                return false;
            } else {
                thread::sleep(SHORTAGE_PAUSE.min(left));
                left = left.saturating_sub(SHORTAGE_PAUSE);
            }
        }
        self.is_idle()
    }

    /// Reads what is there, for one turn of the event loop, and gives each message to `take`. The
    /// peer says nothing of what it writes from then on, until [`rest`](Self::rest).
    ///
    /// # Errors
    /// When garbage comes, which `take` may say as well, or the stream can't be read. The messages
    /// before it have been taken.
    pub fn receive(&mut self, mut take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<Reading> {
        for _ in 0..READS_A_TURN {
            let spare = self.decoder.spare();
            let room = spare.len();
            let received = lane::receive(&self.stream, spare);
            self.reads_later = matches!(received, Err(Failure::Shortage(_)));
            let received = match received {
                Ok(received) if received.length > 0 => received,
                Err(Failure::WouldBlock | Failure::Shortage(_)) => break,
                // The end; or the peer died with messages of ours unread.
                Ok(_) | Err(Failure::Gone) => {
                    self.decode(&mut take)?;
                    return Ok(Reading::Ended);
                }
                Err(Failure::Fault(fault)) => {
                    self.decode(&mut take)?;
                    return Err(fault.into());
                }
            };
            let Received { length, descriptor, truncated } = received;
            self.received += length;
            // A read ends with the bytes that a descriptor came with.
            let may_be_more = length == room || descriptor.is_some() || truncated;
            if descriptor.is_some() || truncated {
                self.arrived.push_back(descriptor);
            }
            self.decoder.filled(length);
            self.decode(&mut take)?;
            if !may_be_more {
                return Ok(Reading::Open);
            }
        }
        self.receive_more(take)?;
        Ok(Reading::Open)
    }

    /// As [`receive`](Self::receive), without looking at the stream.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_more(&mut self, mut take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        self.decode(&mut take)
    }

    /// Has the peer say when it writes, unless it has written meanwhile. If it is likely to do so
    /// in an instant, waits for that: it costs both less than a wake.
    ///
    /// # Errors
    /// [`Error::Memory`] when the peer has spoilt the memory.
    pub fn rest(&mut self) -> Result<Rest> {
        if self.reading == Way::Stream {
            return Ok(Rest::Asleep);
        }
        let Self { reader, spin, .. } = self;
        if spin.until(|| reader.unread() != Ok(0)) {
            return Ok(Rest::Awake);
        }
        let sleeps = reader.sleep().map_err(|_| Error::Memory)?;
        Ok(if sleeps { Rest::Asleep } else { Rest::Awake })
    }

    fn decode(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        loop {
            let way = self.reading;
            match way {
                Way::Memory => self.decode_memory(take)?,
                Way::Stream => self.decode_stream(take)?,
            }
            if self.reading == way {
                break;
            }
        }
        // At most that of the next frame can be here before it.
        if self.arrived.len() > usize::from(self.decoder.is_amid_frame()) {
            return Err(Error::UnclaimedHandle);
        }
        Ok(())
    }

    /// Takes what is in the memory now, up to a switch.
    fn decode_memory(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        let mut unread = self.reader.unread().map_err(|_| Error::Memory)?;
        while unread > 0 {
            let mut header = [0; HEADER];
            // Frames are written whole.
            unread = unread.checked_sub(HEADER).ok_or(Error::Memory)?;
            self.reader.peek(&mut header);
            let (kind, handle, length) = parse_header(&header)?;
            unread = unread.checked_sub(length).ok_or(Error::Memory)?;
            let frame = HEADER + length;
            if self.copy.len() < frame {
                self.copy.resize(frame, 0);
            }
            self.reader.peek(&mut self.copy[..frame]);
            self.reader.take(frame);
            self.received += frame;
            match (kind, handle) {
                (Kind::Switch, None) if length == 0 => {
                    self.reading = Way::Stream;
                    return Ok(());
                }
                (Kind::Switch | Kind::Wake, _) | (_, Some(_)) => return Err(Error::Memory),
                _ => {
                    let payload = Cow::Borrowed(&self.copy[HEADER..frame]);
                    take(Incoming { kind, payload, handle: None })?;
                }
            }
        }
        // The switch is written before the first frame in the stream.
        while let Some(frame) = self.decoder.next()? {
            if frame.kind != Kind::Wake {
                return Err(Error::Unexpected);
            }
        }
        Ok(())
    }

    /// Takes what has come by the stream, up to a switch.
    fn decode_stream(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        while let Some(frame) = self.decoder.next()? {
            match frame.kind {
                Kind::Wake => continue,
                Kind::Switch if !self.has_memory => return Err(Error::Memory),
                Kind::Switch => {
                    self.reading = Way::Memory;
                    return Ok(());
                }
                _ => {}
            }
            let handle = match frame.handle {
                None => None,
                Some(handle) => {
                    let descriptor = self.arrived.pop_front().ok_or(Error::NoHandle)?;
                    if descriptor.as_ref().is_some_and(|it| !handle::fits(it, handle)) {
                        return Err(Error::WrongHandle(handle));
                    }
                    Some((handle, descriptor))
                }
            };
            take(Incoming { kind: frame.kind, payload: frame.payload, handle })?;
        }
        Ok(())
    }

    /// Ends the lane for every holder of this end; the peer still receives what was written.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn shutdown(&self) -> Result<()> {
        match lane::shutdown(&self.stream, Lane::Ipc) {
            Ok(()) | Err(Failure::WouldBlock | Failure::Gone) => Ok(()),
            Err(Failure::Shortage(fault) | Failure::Fault(fault)) => Err(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests;

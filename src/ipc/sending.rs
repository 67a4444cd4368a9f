use std::{
    io::IoSlice,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use super::{
    outgoing::{Chunk, Flushed, Outgoing},
    payload::Payload,
    route::Route,
};
use crate::{
    error::{Error, Result},
    protocol::{
        frame::{self, HEADER, Kind},
        handle::HandleType,
    },
    sys::{
        failure::{Failure, Fault, SHORTAGE_PAUSE},
        lane,
        ring::{SharedCounters, Writer},
    },
};

/// The longest payload that goes through memory. For longer ones the stream costs no more than for
/// short ones.
pub(super) const LONGEST_IN_MEMORY: usize = 32 * 1024;

/// Payloads below this length are queued with their header in one piece.
const SHORT: usize = 4 * 1024;

/// How long a process that exits keeps sending to a peer that still reads, however slowly.
const LONGEST_EXIT_FLUSH: Duration = Duration::from_secs(10);

/// The half of a [`Channel`](super::Channel) that sends.
pub(super) struct Sender {
    pub(super) stream: OwnedFd,
    /// Whether the peer has the memory too.
    has_memory: bool,
    pub(super) writer: Writer,
    pub(super) counters: SharedCounters,
    /// Where the next frame is to be written.
    writing: Route,
    pub(super) outgoing: Outgoing,
    /// Why the stream takes nothing more, if so.
    broken: Option<Fault>,
    /// Whether the peer no longer reads: it has ended, or has shut down its end.
    has_no_reader: bool,
}

impl Sender {
    pub(super) fn new(
        stream: OwnedFd,
        route: Route,
        writer: Writer,
        counters: SharedCounters,
    ) -> Self {
        Self {
            stream,
            has_memory: route == Route::Memory,
            writer,
            counters,
            writing: route,
            outgoing: Outgoing::default(),
            broken: None,
            has_no_reader: false,
        }
    }

    /// See [`Channel::is_idle`](super::Channel::is_idle).
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// See [`Channel::sends_later`](super::Channel::sends_later).
    pub(super) fn sends_later(&self) -> bool {
        self.outgoing.is_short && !self.is_idle()
    }

    /// See [`Channel::fault`](super::Channel::fault).
    pub(super) fn fault(&self) -> Option<Fault> {
        self.broken
    }

    /// See [`Channel::has_no_reader`](super::Channel::has_no_reader).
    pub(super) fn has_no_reader(&self) -> bool {
        self.has_no_reader
    }

    /// See [`Channel::send`](super::Channel::send).
    pub(super) fn send(
        &mut self,
        kind: Kind,
        payload: Payload<'_>,
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

    /// Sends a frame through memory if possible. Returns whether it was sent.
    fn send_by_memory(&mut self, kind: Kind, payload: &[u8]) -> Result<bool> {
        if !self.has_memory {
            return Ok(false);
        }
        // Always leave room for a switch.
        let needed = HEADER + payload.len() + HEADER;
        if payload.len() > LONGEST_IN_MEMORY || needed > self.writer.room() {
            return Ok(false);
        }
        if self.writing == Route::Stream && !self.write_by_memory()? {
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

    /// Writes to the stream, and returns how many bytes it took.
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

    /// Clears the queue: a stream without a reader always seems to have room.
    fn give_up_sending(&mut self) {
        self.has_no_reader = true;
        self.outgoing.clear();
    }

    /// Continues in the memory, if the stream takes the switch. Only then: messages in the memory count
    /// as sent, and the peer would not look there if this process died with the switch still queued.
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
        self.writing = Route::Memory;
        if sent < switch.len() {
            self.queue(switch.to_vec(), sent);
        }
        Ok(self.is_idle())
    }

    /// Continues in the stream.
    fn write_by_stream(&mut self) -> Result<()> {
        if self.writing == Route::Memory {
            let switch = frame::header(Kind::Switch, None, 0)?;
            if !self.writer.write(&[&switch]) {
                return Err(Error::Memory);
            }
            self.writing = Route::Stream;
        }
        Ok(())
    }

    fn send_by_stream(
        &mut self,
        kind: Kind,
        payload: Payload<'_>,
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
            let bytes = Payload::Owned([header.as_slice(), &payload].concat());
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message: true });
            return Ok(());
        }
        if sent < header.len() {
            let ends_message = payload.is_empty();
            let bytes = Payload::Owned(header.to_vec());
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message });
        }
        if !payload.is_empty() {
            let (bytes, sent) = payload.into_waiting(sent.saturating_sub(header.len()));
            self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: true });
        }
        Ok(())
    }

    /// Queues the rest of a frame that is not a message.
    fn queue(&mut self, bytes: Vec<u8>, sent: usize) {
        let bytes = Payload::Owned(bytes);
        self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: false });
    }

    /// See [`Channel::flush`](super::Channel::flush).
    pub(super) fn flush(&mut self) -> Result<Flushed> {
        if let Some(fault) = self.broken {
            return Err(fault.into());
        }
        let flushed = self.outgoing.flush(&self.stream);
        if matches!(flushed, Err(Error::Gone)) {
            self.give_up_sending();
        }
        flushed
    }

    /// See [`Channel::flush_on_exit`](super::Channel::flush_on_exit).
    pub(super) fn flush_on_exit(&mut self, patience: Duration) -> bool {
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
}

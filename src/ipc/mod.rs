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
mod receiving;
mod route;
mod sending;

use std::{
    borrow::Cow,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

pub use outgoing::Flushed;
pub use packets::Packets;
use receiving::Receiver;
pub use receiving::{Incoming, Reading, Rest};
use route::Route;
use sending::Sender;

use crate::{
    error::Result,
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        failure::{Failure, Fault},
        lane::{self, Lane},
        ring::Ring,
    },
};

/// One end of an IPC channel.
pub struct Channel {
    sender: Sender,
    receiver: Receiver,
}

impl Channel {
    /// `stream` is one end of a [`lane::stream_pair`].
    pub fn new(stream: OwnedFd, ring: Ring) -> Self {
        let has_memory = ring.is_shared();
        let Ring { writer, reader, counters } = ring;
        // Without memory there is no other way, and no switch to it.
        let route = if has_memory { Route::Memory } else { Route::Stream };
        Self {
            sender: Sender::new(stream, route, writer, counters),
            receiver: Receiver::new(route, reader),
        }
    }

    /// The number of the stream's descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.sender.stream.as_raw_fd()
    }

    /// Bytes that have come in, altogether.
    pub fn received(&self) -> usize {
        self.receiver.received
    }

    /// Bytes that are there to be received, as far as is known.
    pub fn unread(&self) -> usize {
        let in_stream = lane::unread(&self.sender.stream).unwrap_or(0);
        let in_memory = self.receiver.reader.unread().unwrap_or(0);
        in_memory.saturating_add(usize::try_from(in_stream).unwrap_or(usize::MAX))
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Whether what is queued is to be [`flush`](Self::flush)ed after
    /// [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE), rather than when the stream is writable.
    pub fn sends_later(&self) -> bool {
        self.sender.sends_later()
    }

    /// Why [`send`](Self::send) only queues any more, if so: the lane is to be given up.
    pub fn fault(&self) -> Option<Fault> {
        self.sender.fault()
    }

    /// Whether what is sent can't reach the peer. If the end of what it sends does not follow at once, the
    /// peer lives, and the lane is to be given up.
    pub fn has_no_reader(&self) -> bool {
        self.sender.has_no_reader()
    }

    /// Whether to [`receive`](Self::receive) after
    /// [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE), rather than when the stream is readable.
    pub fn receives_later(&self) -> bool {
        self.receiver.reads_later
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
        self.sender.send(kind, payload, handle)
    }

    /// Writes what is queued until the stream is full, or refuses a message.
    ///
    /// # Errors
    /// [`Error::Gone`] when nobody will read it, which drops it; or [`Error::Fault`]: the lane is to be given
    /// up.
    pub fn flush(&mut self) -> Result<Flushed> {
        self.sender.flush()
    }

    /// Sends what is queued, and waits for room, as long as the peer makes some within `patience`, and
    /// altogether no longer than ten seconds. Says whether all is sent, or nobody left to read it. Only
    /// for a process that is about to end: it blocks.
    pub fn flush_on_exit(&mut self, patience: Duration) -> bool {
        self.sender.flush_on_exit(patience)
    }

    /// Reads what is there, for one turn of the event loop, and gives each message to `take`. The
    /// peer says nothing of what it writes from then on, until [`rest`](Self::rest).
    ///
    /// # Errors
    /// When garbage comes, which `take` may say as well, or the stream can't be read. The messages
    /// before it have been taken.
    pub fn receive(&mut self, take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<Reading> {
        self.receiver.receive(&self.sender.stream, take)
    }

    /// As [`receive`](Self::receive), without looking at the stream.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_more(&mut self, take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        self.receiver.receive_more(take)
    }

    /// Has the peer say when it writes, unless it has written meanwhile. If it is likely to do so
    /// in an instant, waits for that: it costs both less than a wake.
    ///
    /// # Errors
    /// [`Error::Memory`] when the peer has spoilt the memory.
    pub fn rest(&mut self) -> Result<Rest> {
        self.receiver.rest()
    }

    /// Ends the lane for every holder of this end; the peer still receives what was written.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn shutdown(&self) -> Result<()> {
        match lane::shutdown(&self.sender.stream, Lane::Ipc) {
            Ok(()) | Err(Failure::WouldBlock | Failure::Gone) => Ok(()),
            Err(Failure::Shortage(fault) | Failure::Fault(fault)) => Err(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests;

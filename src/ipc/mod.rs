//! The IPC channel: frames that go through shared memory or a stream. Both ends are the same.
//!
//! Small frames go through a [`ring`](crate::sys::ring) in shared memory, without a system call unless
//! the reader sleeps; then a frame of [`Kind::Wake`] in the stream wakes it. The stream also carries
//! large frames, frames with a descriptor, and those for which the memory has no room. When the writer
//! changes from one to the other, it writes a frame of [`Kind::Switch`], so all frames have one order.
//!
//! A [`Channel`] reads, writes and queues, but has no event loop: its owner calls it when the stream is
//! ready, and checks [`Channel::is_idle`] to know whether to wait for room.

mod adaptive_spin;
mod handle;
mod outgoing;
mod packets;
mod payload;
mod receiving;
mod route;
mod sending;

use std::{
    fmt,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

pub use outgoing::Flushed;
pub use packets::Packets;
pub use payload::{Payload, SharedBytes, WeakBytes};
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

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl Channel {
    /// `stream` is one end of a [`lane::stream_pair`].
    pub fn new(stream: OwnedFd, ring: Ring) -> Self {
        let has_memory = ring.is_shared();
        let Ring { writer, reader, counters } = ring;
        // Without shared memory everything goes through the stream.
        let route = if has_memory { Route::Memory } else { Route::Stream };
        Self {
            sender: Sender::new(stream, route, writer, counters),
            receiver: Receiver::new(route, reader),
        }
    }

    /// The stream's descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.sender.stream.as_raw_fd()
    }

    /// How many bytes have been received in total.
    pub fn received(&self) -> usize {
        self.receiver.received
    }

    /// How many bytes can be received now; an estimate.
    pub fn unread(&self) -> usize {
        let in_stream = lane::unread(&self.sender.stream).unwrap_or(0);
        let in_memory = self.receiver.reader.unread().unwrap_or(0);
        in_memory.saturating_add(usize::try_from(in_stream).unwrap_or(usize::MAX))
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Whether to [`flush`](Self::flush) what is queued after
    /// [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE), instead of when the stream is writable.
    pub fn sends_later(&self) -> bool {
        self.sender.sends_later()
    }

    /// The fault after which [`send`](Self::send) only queues, if any: the owner must close the
    /// channel.
    pub fn fault(&self) -> Option<Fault> {
        self.sender.fault()
    }

    /// Whether the peer no longer reads. Unless its end follows at once, the peer is alive, and the
    /// owner must close the channel.
    pub fn has_no_reader(&self) -> bool {
        self.sender.has_no_reader()
    }

    /// Whether to [`receive`](Self::receive) after
    /// [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE), instead of when the stream is readable.
    pub fn receives_later(&self) -> bool {
        self.receiver.reads_later
    }

    /// Sends a message, or queues it behind others. Returns how many bytes are queued, including this
    /// message; 0 if it was sent.
    ///
    /// # Errors
    /// `Gone`; `Fault` when the descriptor can't be sent; `Frame` when the payload is too long;
    /// `Memory` when the peer has written invalid data into the memory. In all cases the message is not
    /// sent. A fault without a descriptor concerns the whole channel: [`fault`](Self::fault) returns
    /// it.
    pub fn send<'a>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'a>>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<usize> {
        self.sender.send(kind, payload.into(), handle)
    }

    /// Writes what is queued, until the stream is full or refuses a message.
    ///
    /// # Errors
    /// `Gone` when the peer does not read any more, which drops the queue; `Fault`, after which the
    /// owner must close the channel.
    pub fn flush(&mut self) -> Result<Flushed> {
        self.sender.flush()
    }

    /// Sends what is queued, and blocks for room, as long as the peer makes some within `patience`, and
    /// for ten seconds at most. Returns true if all is sent, or the peer no longer reads. Only for a
    /// process that is about to exit.
    pub fn flush_on_exit(&mut self, patience: Duration) -> bool {
        self.sender.flush_on_exit(patience)
    }

    /// Reads what is there, for one turn of the event loop, and gives each message to `take`. The peer
    /// does not wake this end for what it writes from then on, until [`rest`](Self::rest).
    ///
    /// # Errors
    /// Invalid data, which `take` may report too, or `Fault` when the stream can't be read. The
    /// messages before it have been taken.
    pub fn receive(&mut self, take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<Reading> {
        self.receiver.receive(&self.sender.stream, take)
    }

    /// Like [`receive`](Self::receive), without reading from the stream.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_more(&mut self, take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        self.receiver.receive_more(take)
    }

    /// Asks the peer to wake this end when it writes, unless it has written meanwhile. If the peer is
    /// likely to write at once, spins for that, which costs both processes less than a wake.
    ///
    /// # Errors
    /// `Memory` when the peer has written invalid data into the memory.
    pub fn rest(&mut self) -> Result<Rest> {
        self.receiver.rest()
    }

    /// Shuts down the channel for every holder of this end. The peer still receives what was written.
    ///
    /// # Errors
    /// `Fault`.
    pub fn shutdown(&self) -> Result<()> {
        match lane::shutdown(&self.sender.stream, Lane::Ipc) {
            Ok(()) | Err(Failure::WouldBlock | Failure::Gone) => Ok(()),
            Err(Failure::Shortage(fault) | Failure::Fault(fault)) => Err(fault.into()),
        }
    }
}

#[cfg(test)]
mod tests;

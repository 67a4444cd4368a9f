use std::{
    collections::VecDeque,
    io::IoSlice,
    os::fd::{AsFd, OwnedFd},
};

use super::payload::Payload;
use crate::{
    error::{Error, Result},
    protocol::frame::{self, Kind},
    sys::{
        failure::{Failure, Fault},
        lane,
    },
};

/// How many chunks are written in one call at most.
const CHUNKS_A_WRITE: usize = 64;

/// What happened to queued messages.
#[derive(Debug, Default)]
pub struct Flushed {
    /// How many were sent.
    pub messages: usize,
    /// Why the next message could not be sent, if so. It was removed from the queue; there may be more
    /// to flush.
    pub refused: Option<Fault>,
}

/// Bytes that wait for room in the stream.
pub(super) struct Chunk {
    pub(super) bytes: Payload<'static>,
    pub(super) sent: usize,
    /// Sent with the first byte.
    pub(super) descriptor: Option<OwnedFd>,
    /// Whether a message ends with these bytes.
    pub(super) ends_message: bool,
}

impl Chunk {
    fn rest(&self) -> IoSlice<'_> {
        IoSlice::new(&self.bytes[self.sent..])
    }
}

/// What waits for room in the stream.
#[derive(Default)]
pub(super) struct Outgoing {
    chunks: VecDeque<Chunk>,
    length: usize,
    /// Whether the last write met a shortage, whose end the stream does not signal.
    pub(super) is_short: bool,
}

impl Outgoing {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.length += chunk.bytes.len() - chunk.sent;
        self.chunks.push_back(chunk);
    }

    /// Writes until the stream is full, or refuses a message.
    ///
    /// # Errors
    /// [`Error::Gone`]; [`Error::Fault`] unless it concerns the descriptor of one message.
    pub(super) fn flush(&mut self, stream: &OwnedFd) -> Result<Flushed> {
        let mut flushed = Flushed::default();
        while let Some(first) = self.chunks.front() {
            let descriptor = first.descriptor.as_ref().map(AsFd::as_fd);
            // A descriptor goes with the first byte of a write, so a chunk with one begins another
            // write.
            let others = self.chunks.iter().skip(1).take(CHUNKS_A_WRITE - 1);
            let slices: Vec<_> = [first.rest()]
                .into_iter()
                .chain(others.take_while(|it| it.descriptor.is_none()).map(Chunk::rest))
                .collect();
            let sent = lane::send(stream, &slices, descriptor);
            let has_descriptor = descriptor.is_some();
            self.is_short = matches!(sent, Err(Failure::Shortage(_)));
            match sent {
                Ok(sent) => flushed.messages += self.forget(sent),
                Err(Failure::WouldBlock | Failure::Shortage(_)) => break,
                // The descriptor may be the cause.
                Err(Failure::Fault(fault)) if has_descriptor => {
                    self.refuse_message()?;
                    flushed.refused = Some(fault);
                    break;
                }
                // Report the messages that were sent first; the next call fails in the same way.
                Err(Failure::Gone | Failure::Fault(_)) if flushed.messages > 0 => break,
                Err(Failure::Gone) => return Err(Error::Gone),
                Err(Failure::Fault(fault)) => return Err(fault.into()),
            }
        }
        Ok(flushed)
    }

    /// Drops all that waits.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes the first message, of which nothing has been sent.
    fn refuse_message(&mut self) -> Result<()> {
        while let Some(chunk) = self.chunks.pop_front() {
            self.length -= chunk.bytes.len();
            if chunk.ends_message {
                break;
            }
        }
        let bytes = Payload::Owned(frame::header(Kind::Refused, None, 0)?.to_vec());
        self.length += bytes.len();
        self.chunks.push_front(Chunk { bytes, sent: 0, descriptor: None, ends_message: false });
        Ok(())
    }

    /// Drops the first `sent` bytes, and counts the messages that end in them.
    fn forget(&mut self, sent: usize) -> usize {
        self.length -= sent;
        let mut rest = sent;
        let mut messages = 0;
        while let Some(chunk) = self.chunks.front_mut() {
            if rest > 0 {
                chunk.descriptor = None;
            }
            let left = chunk.bytes.len() - chunk.sent;
            if rest < left {
                chunk.sent += rest;
                break;
            }
            rest -= left;
            messages += usize::from(chunk.ends_message);
            self.chunks.pop_front();
        }
        messages
    }
}

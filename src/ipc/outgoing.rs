use std::{
    collections::VecDeque,
    io::IoSlice,
    os::fd::{AsFd, OwnedFd},
};

use crate::{
    error::{Error, Result},
    protocol::frame::{self, Kind},
    sys::{
        failure::{Failure, Fault},
        lane,
    },
};

/// Chunks handed to the kernel in one call, at most.
const CHUNKS_A_WRITE: usize = 64;

/// What became of queued messages.
#[derive(Debug, Default)]
pub struct Flushed {
    /// How many are gone.
    pub messages: usize,
    /// Why the one after them could not be sent, if so. It is out of the queue; there may be more
    /// to flush.
    pub refused: Option<Fault>,
}

/// Bytes that wait for room in the stream.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    /// To go with the first byte.
    pub(super) descriptor: Option<OwnedFd>,
    /// Whether a message is complete when these bytes are gone.
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
    /// Whether the last write met a shortage, so that the stream does not tell when to go on.
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
    /// [`Error::Gone`], and [`Error::Fault`] where it is not about the descriptor of one message.
    pub(super) fn flush(&mut self, stream: &OwnedFd) -> Result<Flushed> {
        let mut flushed = Flushed::default();
        while let Some(first) = self.chunks.front() {
            let descriptor = first.descriptor.as_ref().map(AsFd::as_fd);
            // A descriptor goes with the first byte of a write, so the next one ends it.
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
                // It may be the descriptor that can't be sent.
                Err(Failure::Fault(fault)) if has_descriptor => {
                    self.refuse_message()?;
                    flushed.refused = Some(fault);
                    break;
                }
                // The next call fails in the same way; the messages that have gone are told of first.
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

    /// Takes the first message out, of which nothing has been sent.
    fn refuse_message(&mut self) -> Result<()> {
        while let Some(chunk) = self.chunks.pop_front() {
            self.length -= chunk.bytes.len();
            if chunk.ends_message {
                break;
            }
        }
        let bytes = frame::header(Kind::Refused, None, 0)?.to_vec();
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

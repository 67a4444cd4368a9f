use std::{borrow::Cow, mem::take, os::fd::OwnedFd};

use crate::{
    channel::Incoming,
    error::{Error, Result},
    protocol::{frame::Kind, handle::HandleType},
};

/// Messages at least as long go to JavaScript on their own, without another copy.
const LONG: usize = 16 * 1024;

/// Many messages at once cost JavaScript less than each alone.
pub(super) enum Delivery {
    /// Messages of the user. Texts are an array of JSON, or the one value itself; bytes have a
    /// length of four bytes, little-endian, before each message.
    Batch { bytes: Vec<u8>, count: u32 },
    /// A notice, a long message, or one with a handle.
    Single { kind: Kind, payload: Vec<u8>, handle: Option<(HandleType, Option<OwnedFd>)> },
}

/// Gathers what comes in one turn of the event loop.
pub(super) struct Inbox {
    binary: bool,
    deliveries: Vec<Delivery>,
    batch: Vec<u8>,
    count: u32,
}

impl Inbox {
    /// `binary` when messages of the user are no text.
    pub(super) fn new(binary: bool) -> Self {
        Self { binary, deliveries: Vec::new(), batch: Vec::new(), count: 0 }
    }

    /// # Errors
    /// [`Error::NotText`].
    pub(super) fn take(&mut self, message: Incoming<'_>) -> Result<()> {
        let Incoming { kind, payload, handle } = message;
        let is_binary = self.binary && kind == Kind::Message;
        if !is_binary && str::from_utf8(&payload).is_err() {
            return Err(Error::NotText);
        }
        if kind == Kind::Message && handle.is_none() && payload.len() < LONG {
            self.append(&payload);
            return Ok(());
        }
        self.end_batch();
        self.deliveries.push(Delivery::Single { kind, payload: Cow::into_owned(payload), handle });
        Ok(())
    }

    fn append(&mut self, payload: &[u8]) {
        if self.binary {
            // Shorter than LONG.
            self.batch.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        } else {
            // No JSON that was made for a lane has such a line break, so it could be taken apart.
            self.batch.extend_from_slice(if self.count == 0 { b"[" } else { b",\n" });
        }
        self.batch.extend_from_slice(payload);
        self.count += 1;
    }

    fn end_batch(&mut self) {
        if self.count == 0 {
            return;
        }
        if !self.binary && self.count == 1 {
            self.batch.remove(0);
        } else if !self.binary {
            self.batch.push(b']');
        }
        let (bytes, count) = (take(&mut self.batch), take(&mut self.count));
        self.deliveries.push(Delivery::Batch { bytes, count });
    }

    /// All that came, in order.
    pub(super) fn into_deliveries(mut self) -> Vec<Delivery> {
        self.end_batch();
        self.deliveries
    }
}

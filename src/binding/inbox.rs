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
    /// Messages of the user: an array of JSON, or the one value itself.
    Texts { text: String, count: u32 },
    /// Messages of the user, each after its length in four bytes, little-endian.
    Bytes(Vec<u8>),
    /// A notice, a long message, or one with a handle.
    Single { kind: Kind, payload: Vec<u8>, handle: Option<(HandleType, Option<OwnedFd>)> },
}

/// Gathers what comes in one turn of the event loop.
#[derive(Default)]
pub(super) struct Inbox {
    deliveries: Vec<Delivery>,
    texts: String,
    count: u32,
    bytes: Vec<u8>,
}

impl Inbox {
    /// # Errors
    /// [`Error::NotText`].
    pub(super) fn take(&mut self, message: Incoming<'_>) -> Result<()> {
        let Incoming { kind, payload, handle } = message;
        let is_short = handle.is_none() && payload.len() < LONG;
        match kind {
            Kind::Bytes if is_short => self.append_bytes(&payload),
            Kind::Bytes => self.push(kind, payload, handle),
            _ => {
                let text = str::from_utf8(&payload).map_err(|_| Error::NotText)?;
                if kind == Kind::Text && is_short {
                    self.append_text(text);
                } else {
                    self.push(kind, payload, handle);
                }
            }
        }
        Ok(())
    }

    fn append_text(&mut self, text: &str) {
        self.end_bytes();
        // No JSON that was made for a lane has such a line break, so it could be taken apart.
        self.texts.push_str(if self.count == 0 { "[" } else { ",\n" });
        self.texts.push_str(text);
        self.count += 1;
    }

    fn append_bytes(&mut self, bytes: &[u8]) {
        self.end_texts();
        // Shorter than LONG.
        self.bytes.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn push(
        &mut self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<(HandleType, Option<OwnedFd>)>,
    ) {
        self.end_texts();
        self.end_bytes();
        self.deliveries.push(Delivery::Single { kind, payload: payload.into_owned(), handle });
    }

    fn end_texts(&mut self) {
        let (mut text, count) = (take(&mut self.texts), take(&mut self.count));
        match count {
            0 => return,
            1 => _ = text.remove(0),
            _ => text.push(']'),
        }
        self.deliveries.push(Delivery::Texts { text, count });
    }

    fn end_bytes(&mut self) {
        if !self.bytes.is_empty() {
            self.deliveries.push(Delivery::Bytes(take(&mut self.bytes)));
        }
    }

    /// All that came, in order.
    pub(super) fn into_deliveries(mut self) -> Vec<Delivery> {
        self.end_texts();
        self.end_bytes();
        self.deliveries
    }
}

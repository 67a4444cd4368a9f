use std::{borrow::Cow, mem::take, os::fd::OwnedFd};

use napi::bindgen_prelude::{Buffer, Either, Either3, Latin1String, Utf16String};

use crate::{
    error::{Error, Result},
    ipc::Incoming,
    protocol::{frame::Kind, handle::HandleType},
};

/// Messages of at least this many bytes go to JavaScript one by one, without another copy.
const LONG: usize = 16 * 1024;

/// The bytes of a message's length, before the message.
const LENGTH: usize = 4;

/// Where messages begin among several.
const ALIGNMENT: usize = 8;

/// A text in the form that is cheapest for V8: Latin-1 if it is ASCII.
pub(super) type Text = Either3<Latin1String, Utf16String, String>;

/// A message: JSON, or as V8 serializes it.
pub(super) type Payload = Either<Text, Buffer>;

/// Messages to deliver with one call; many at once are cheaper for JavaScript.
pub(super) enum Delivery {
    /// Messages of the user: an array of JSON, or the one value itself.
    Texts { text: Text, count: u32 },
    /// Messages of the user, each after its length in four bytes, little-endian, and at a multiple of eight.
    Bytes(Vec<u8>),
    /// A message of the user that is a string.
    String(Text),
    /// An internal message, a long message, or one with a handle.
    Single { is_internal: bool, payload: Payload, handle: Option<(HandleType, Option<OwnedFd>)> },
}

/// The next thing to do.
pub(super) enum Entry {
    Deliver(Delivery),
    /// Deliver what another lane has brought that follows this many messages.
    Alongside(u64),
}

/// Gathers what comes in one turn of the event loop.
#[derive(Default)]
pub(super) struct Inbox {
    entries: Vec<Entry>,
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
            Kind::Text if is_short => {
                self.append_text(str::from_utf8(&payload).map_err(|_| Error::NotText)?);
            }
            Kind::Bytes if is_short => self.append_bytes(&payload),
            Kind::String => self.push(Delivery::String(narrow_text(payload)?)),
            Kind::WideString => self.push(Delivery::String(wide_text(&payload)?)),
            Kind::WideText => {
                let text = wide_text(&payload)?;
                self.push(match handle {
                    None => Delivery::Texts { text, count: 1 },
                    _ => Delivery::Single { is_internal: false, payload: Either::A(text), handle },
                });
            }
            Kind::Bytes => {
                let payload = Either::B(payload.into_owned().into());
                self.push(Delivery::Single { is_internal: false, payload, handle });
            }
            _ => {
                let (is_internal, payload) =
                    (kind == Kind::Internal, Either::A(narrow_text(payload)?));
                self.push(Delivery::Single { is_internal, payload, handle });
            }
        }
        Ok(())
    }

    /// Marks the place of what another lane has brought that follows this many messages.
    pub(super) fn mark(&mut self, messages: u64) {
        self.end_texts();
        self.end_bytes();
        self.entries.push(Entry::Alongside(messages));
    }

    fn append_text(&mut self, text: &str) {
        self.end_bytes();
        // JSON that was made for a channel has no such line break, so the array can be split again.
        self.texts.push_str(if self.count == 0 { "[" } else { ",\n" });
        self.texts.push_str(text);
        self.count += 1;
    }

    fn append_bytes(&mut self, bytes: &[u8]) {
        self.end_texts();
        // So that JavaScript can look at numbers in a message where they are.
        let place = (self.bytes.len() + LENGTH).next_multiple_of(ALIGNMENT) - LENGTH;
        self.bytes.resize(place, 0);
        // Shorter than LONG.
        self.bytes.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn push(&mut self, delivery: Delivery) {
        self.end_texts();
        self.end_bytes();
        self.entries.push(Entry::Deliver(delivery));
    }

    fn end_texts(&mut self) {
        let (mut text, count) = (take(&mut self.texts), take(&mut self.count));
        match count {
            0 => return,
            1 => _ = text.remove(0),
            _ => text.push(']'),
        }
        self.entries.push(Entry::Deliver(Delivery::Texts { text: from_utf8(text), count }));
    }

    fn end_bytes(&mut self) {
        if !self.bytes.is_empty() {
            self.entries.push(Entry::Deliver(Delivery::Bytes(take(&mut self.bytes))));
        }
    }

    /// Everything that was received, in order.
    pub(super) fn into_entries(mut self) -> Vec<Entry> {
        self.end_texts();
        self.end_bytes();
        self.entries
    }
}

fn from_utf8(text: String) -> Text {
    if text.is_ascii() { Either3::A(text.into()) } else { Either3::C(text) }
}

fn narrow_text(payload: Cow<'_, [u8]>) -> Result<Text> {
    String::from_utf8(payload.into_owned()).map(from_utf8).map_err(|_| Error::NotText)
}

fn wide_text(payload: &[u8]) -> Result<Text> {
    let (units, rest) = payload.as_chunks();
    if !rest.is_empty() {
        return Err(Error::NotText);
    }
    let units: Vec<u16> = units.iter().copied().map(u16::from_ne_bytes).collect();
    Ok(Either3::B(units.into()))
}

//! The IPC channel: a stream of frames, each a header of eight bytes and a payload.
//!
//! ```text
//! 0        4      5        6          8
//! | length | kind | handle | reserved |  payload: `length` bytes
//! ```
//! Numbers are little-endian. `handle` is zero, or says what the descriptor is that comes along with
//! the first byte of the frame: the number of a [`HandleType`]. `reserved` is zero; a peer that sets
//! it is not one of ours.

use std::borrow::Cow;

use super::handle::HandleType;

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// The longest payload, in bytes: a little more than the longest string of V8.
pub const MAX_PAYLOAD: usize = 1 << 30;

/// The longest text, in UTF-16 units: the longest string of V8. A longer one could not be shown to JavaScript.
pub const MAX_TEXT: usize = (1 << 29) - 24;

/// The longest payload of an internal message, in bytes: enough for an address and a path.
pub const MAX_INTERNAL: usize = 64 * 1024;

/// The size of the decoder's buffer, in bytes, and so the largest frame that fits into it.
const BUFFER: usize = 64 * 1024;

/// How many bytes of a larger frame are read at once: as much as a stream usually holds.
const PIECE: usize = 256 * 1024;

/// How many of the announced bytes get room before they come. The kernel provides the memory only as
/// they do.
const AHEAD: usize = 1024 * 1024;

/// What a payload means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message of the user, in JSON.
    Text = 1,
    /// An internal message between the two `cluster` modules (`online`, `disconnect`, …), in JSON.
    Internal = 2,
    /// A message of the user, as V8 serializes it.
    Bytes = 3,
    /// Wakes the reader, which then reads the memory. Only in the stream.
    Wake = 4,
    /// The next frame is in the other of the two, stream and memory.
    Switch = 5,
    /// A message of the user that is a string, as it is.
    String = 6,
    /// As [`Kind::Text`], in UTF-16 of this machine's byte order.
    WideText = 7,
    /// As [`Kind::String`], in UTF-16 of this machine's byte order. Surrogates may be alone.
    WideString = 8,
    /// Replaces a message that the kernel refused to send, so that both ends count the same messages.
    Refused = 9,
}

impl Kind {
    /// The longest payload, in bytes.
    pub fn limit(self) -> usize {
        match self {
            Self::Wake | Self::Switch | Self::Refused => 0,
            Self::Internal => MAX_INTERNAL,
            // Long texts go in UTF-16 unless they are ASCII.
            Self::Text | Self::String => MAX_TEXT,
            Self::WideText | Self::WideString => 2 * MAX_TEXT,
            Self::Bytes => MAX_PAYLOAD,
        }
    }

    /// Whether a frame of this kind may have a descriptor.
    pub fn takes_handle(self) -> bool {
        matches!(self, Self::Text | Self::WideText | Self::Bytes)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Text),
            2 => Some(Self::Internal),
            3 => Some(Self::Bytes),
            4 => Some(Self::Wake),
            5 => Some(Self::Switch),
            6 => Some(Self::String),
            7 => Some(Self::WideText),
            8 => Some(Self::WideString),
            9 => Some(Self::Refused),
            _ => None,
        }
    }
}

/// One complete frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload means.
    pub kind: Kind,
    /// The type of the descriptor that comes with it.
    pub handle: Option<HandleType>,
    /// The bytes between this header and the next, borrowed from the buffer if they fit into it.
    pub payload: Cow<'a, [u8]>,
}

/// Why a stream is not valid. Nothing after the error can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No [`Kind`] has this number.
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u8),
    /// No [`HandleType`] has this number.
    #[error("a frame with a handle of unknown type {0}")]
    UnknownHandle(u8),
    /// A payload longer than [`Kind::limit`] was announced.
    #[error("a frame of {0} bytes exceeds the limit of its kind")]
    TooLong(usize),
    /// A handle was announced with a frame that takes none.
    #[error("a frame with a handle that its kind can't have")]
    StrayHandle,
    /// A reserved byte of the header is not zero.
    #[error("a frame with reserved bits set")]
    Reserved,
}

/// The header of a frame with a payload of `length` bytes.
///
/// # Errors
/// [`FrameError::TooLong`], [`FrameError::StrayHandle`].
pub fn header(
    kind: Kind,
    handle: Option<HandleType>,
    length: usize,
) -> Result<[u8; HEADER], FrameError> {
    check(kind, handle, length)?;
    let mut header = [0; HEADER];
    // MAX_PAYLOAD fits in 32 bits.
    header[..4].copy_from_slice(&(length as u32).to_le_bytes());
    header[4] = kind as u8;
    header[5] = handle.map_or(0, HandleType::number);
    Ok(header)
}

fn check(kind: Kind, handle: Option<HandleType>, length: usize) -> Result<(), FrameError> {
    if length > kind.limit() {
        return Err(FrameError::TooLong(length));
    }
    if handle.is_some() && !kind.takes_handle() {
        return Err(FrameError::StrayHandle);
    }
    Ok(())
}

/// Parses what [`header`] made.
///
/// # Errors
/// When it is not a valid header.
pub fn parse_header(
    header: &[u8; HEADER],
) -> Result<(Kind, Option<HandleType>, usize), FrameError> {
    let [l0, l1, l2, l3, kind, handle, r0, r1] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
    if [r0, r1] != [0; 2] {
        return Err(FrameError::Reserved);
    }
    let handle = match handle {
        0 => None,
        number => Some(HandleType::from_number(number).ok_or(FrameError::UnknownHandle(number))?),
    };
    check(kind, handle, length)?;
    Ok((kind, handle, length))
}

/// A payload too long for the buffer, read in place.
struct Partial {
    kind: Kind,
    handle: Option<HandleType>,
    length: usize,
    /// The bytes received so far, and room for the next read.
    payload: Vec<u8>,
    /// How many bytes have been received.
    filled: usize,
}

impl Partial {
    fn spare(&mut self) -> &mut [u8] {
        let end = self.length.min(self.filled + PIECE);
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        &mut self.payload[self.filled..]
    }
}

/// Splits a stream into frames, however it was divided into reads.
///
/// Bytes go in through [`spare`](Self::spare) and [`filled`](Self::filled), frames come out of
/// [`next`](Self::next) until it says `None`: "incomplete" is a state, not an error. The cost is
/// linear in the bytes; memory grows with what has arrived, not with what was announced.
pub struct Decoder {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    partial: Option<Partial>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER].into(), start: 0, end: 0, partial: None }
    }
}

impl Decoder {
    /// Room for the next read; never empty once `next` has said `None`.
    pub fn spare(&mut self) -> &mut [u8] {
        if let Some(partial) = &mut self.partial {
            return partial.spare();
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            // At most one incomplete frame is left, so a byte moves at most once a read.
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `count` bytes were written to the front of [`spare`](Self::spare).
    pub fn filled(&mut self, count: usize) {
        match &mut self.partial {
            Some(partial) => partial.filled = (partial.filled + count).min(partial.payload.len()),
            None => self.end = (self.end + count).min(self.buffer.len()),
        }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are not frames. Nothing after the error can be read.
    #[expect(clippy::should_implement_trait, reason = "the frame borrows from the decoder")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if let Some(partial) = self.partial.take_if(|it| it.filled == it.length) {
            let Partial { kind, handle, payload, .. } = partial;
            return Ok(Some(Frame { kind, handle, payload: Cow::Owned(payload) }));
        }
        if self.partial.is_some() {
            return Ok(None);
        }
        let unread = &self.buffer[self.start..self.end];
        let Some((head, rest)) = unread.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (kind, handle, length) = parse_header(head)?;
        if rest.len() >= length {
            let payload = self.start + HEADER;
            self.start = payload + length;
            let payload = Cow::Borrowed(&self.buffer[payload..payload + length]);
            return Ok(Some(Frame { kind, handle, payload }));
        }
        if HEADER + length > self.buffer.len() {
            let mut payload = Vec::with_capacity(length.min(AHEAD));
            payload.extend_from_slice(rest);
            let filled = rest.len();
            self.partial = Some(Partial { kind, handle, length, payload, filled });
            (self.start, self.end) = (0, 0);
        }
        Ok(None)
    }

    /// Whether an incomplete frame has been received.
    pub fn is_amid_frame(&self) -> bool {
        self.partial.is_some() || self.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parts = (Kind, Option<HandleType>, Vec<u8>);

    fn stream(frames: &[Parts]) -> Vec<u8> {
        frames
            .iter()
            .flat_map(|(kind, handle, payload)| {
                let header = header(*kind, *handle, payload.len()).unwrap();
                [header.as_slice(), payload.as_slice()].concat()
            })
            .collect()
    }

    /// Feeds `bytes` in pieces of the given sizes, in turn, and gathers what comes out.
    fn decode(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Parts>, FrameError> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut rest = bytes;
        for piece in pieces.iter().cycle() {
            let spare = decoder.spare();
            assert!(!spare.is_empty());
            let count = (*piece).min(rest.len()).min(spare.len());
            spare[..count].copy_from_slice(&rest[..count]);
            decoder.filled(count);
            rest = &rest[count..];
            while let Some(frame) = decoder.next()? {
                frames.push((frame.kind, frame.handle, frame.payload.into_owned()));
            }
            if rest.is_empty() {
                break;
            }
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn a_stream_split_anywhere_gives_the_same_frames(
            lengths in prop::collection::vec(prop_oneof![0usize..40, 60_000usize..200_000], 1..8),
            pieces in prop::collection::vec(1usize..70_000, 1..6),
        ) {
            let frames: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(i, &length)| {
                    let kind = if i % 2 == 0 { Kind::Text } else { Kind::Bytes };
                    (kind, HandleType::from_number(i as u8), vec![i as u8; length])
                })
                .collect();
            prop_assert_eq!(decode(&stream(&frames), &pieces).unwrap(), frames);
        }

        #[test]
        fn any_bytes_at_all_end_in_frames_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..4096),
            pieces in prop::collection::vec(1usize..512, 1..4),
        ) {
            let _ = decode(&bytes, &pieces);
        }
    }

    #[test]
    fn a_stream_of_single_bytes_gives_the_same_frames() {
        let frames = [
            (Kind::Text, HandleType::from_number(7), b"{}".to_vec()),
            (Kind::Internal, None, Vec::new()),
        ];
        assert_eq!(decode(&stream(&frames), &[1]).unwrap(), frames);
    }

    #[test]
    fn next_to_nothing_is_allocated_for_an_announced_length() {
        let mut decoder = Decoder::default();
        let header = header(Kind::Bytes, None, MAX_PAYLOAD).unwrap();
        decoder.spare()[..HEADER].copy_from_slice(&header);
        decoder.filled(HEADER);
        assert!(decoder.is_amid_frame());
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.is_amid_frame());
        assert_eq!(decoder.spare().len(), PIECE);
        assert!(decoder.partial.as_ref().unwrap().payload.capacity() <= AHEAD);
    }

    #[test]
    fn a_stream_that_is_none_of_ours_is_an_error() {
        let unknown = [0, 0, 0, 0, 10, 0, 0, 0];
        assert_eq!(decode(&unknown, &[8]), Err(FrameError::UnknownKind(10)));
        let reserved = [0, 0, 0, 0, 1, 0, 0, 1];
        assert_eq!(decode(&reserved, &[8]), Err(FrameError::Reserved));
        let stranger = [0, 0, 0, 0, 1, u8::MAX, 0, 0];
        assert_eq!(decode(&stranger, &[8]), Err(FrameError::UnknownHandle(u8::MAX)));
        let giant = [255, 255, 255, 255, 1, 0, 0, 0];
        assert_eq!(decode(&giant, &[8]), Err(FrameError::TooLong(u32::MAX as usize)));
        for kind in (0..=u8::MAX).filter_map(Kind::from_byte) {
            let limit = kind.limit();
            assert!(header(kind, None, limit).is_ok());
            let long = Err(FrameError::TooLong(limit + 1));
            assert_eq!(header(kind, None, limit + 1), long);
            let mut forged = header(Kind::Bytes, None, limit.min(MAX_PAYLOAD)).unwrap();
            forged[..4].copy_from_slice(&(limit as u32 + 1).to_le_bytes());
            forged[4] = kind as u8;
            assert_eq!(parse_header(&forged).map(|_| ()), long.map(|_: [u8; 8]| ()), "{kind:?}");
        }
        let stray = [0, 0, 0, 0, Kind::Internal as u8, 1, 0, 0];
        assert_eq!(decode(&stray, &[8]), Err(FrameError::StrayHandle));
    }
}

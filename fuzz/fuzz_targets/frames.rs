//! A stream, split anywhere: what the decoder makes of it is what is in it, and little memory is
//! asked for bytes that are only announced.

#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use rs_cluster::protocol::{
    frame::{Decoder, Frame, FrameError, HEADER, Kind, header, parse_header},
    handle::HandleType,
};
use rs_cluster_fuzz::{Bounded, Length, Sort, largest_request};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// The longest stream.
const STREAM: usize = 512 * 1024;

/// Room that the decoder may make for a frame before it has come, however long it is; no stream
/// here is longer.
const AHEAD: usize = 1024 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// How many bytes come at once, in turn.
    pieces: [u16; 4],
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Part<'a> {
    Frame {
        sort: Sort,
        handle: u8,
        length: Length,
    },
    /// A header, and nothing of what it announces.
    Header {
        kind: u8,
        handle: u8,
        length: u32,
    },
    Bytes(&'a [u8]),
}

impl Part<'_> {
    fn write(&self, stream: &mut Vec<u8>) {
        match *self {
            Self::Frame { sort, handle, length } => {
                let kind = sort.kind();
                let length = length.get().min(kind.limit());
                let handle = HandleType::from_number(handle).filter(|_| kind.takes_handle());
                stream.extend(header(kind, handle, length).expect("a short frame"));
                stream.resize(stream.len() + length, stream.len() as u8);
            }
            Self::Header { kind, handle, length } => {
                stream.extend(length.to_le_bytes());
                stream.extend([kind, handle, 0, 0]);
            }
            Self::Bytes(bytes) => stream.extend(bytes),
        }
    }
}

/// What comes after the last whole frame.
#[derive(Debug, PartialEq)]
enum Rest {
    Nothing,
    PartOfFrame,
    Garbage(FrameError),
}

/// A frame as it lies in the stream.
type Whole<'a> = (Kind, Option<HandleType>, &'a [u8]);

/// The same rules, with the whole stream at hand.
fn cut(mut stream: &[u8]) -> (Vec<Whole<'_>>, Rest) {
    let mut frames = Vec::new();
    loop {
        let Some((head, rest)) = stream.split_first_chunk::<HEADER>() else {
            let is_done = stream.is_empty();
            return (frames, if is_done { Rest::Nothing } else { Rest::PartOfFrame });
        };
        let (kind, handle, length) = match parse_header(head) {
            Ok(parsed) => parsed,
            Err(error) => return (frames, Rest::Garbage(error)),
        };
        assert_eq!(header(kind, handle, length), Ok(*head));
        if rest.len() < length {
            return (frames, Rest::PartOfFrame);
        }
        let (payload, rest) = rest.split_at(length);
        frames.push((kind, handle, payload));
        stream = rest;
    }
}

/// Has the decoder find the same `frames` in pieces of the stream; says what it sees after them.
fn decode(stream: &[u8], pieces: [u16; 4], frames: &[Whole<'_>]) -> Rest {
    largest_request();
    let mut decoder = Decoder::default();
    let mut frames = frames.iter();
    let mut unread = stream;
    for piece in pieces.into_iter().cycle() {
        if unread.is_empty() {
            break;
        }
        let spare = decoder.spare();
        assert!(!spare.is_empty(), "no room for the next read");
        let count = usize::from(piece).max(1).min(unread.len()).min(spare.len());
        spare[..count].copy_from_slice(&unread[..count]);
        decoder.filled(count);
        unread = &unread[count..];
        loop {
            match decoder.next() {
                Ok(Some(Frame { kind, handle, payload })) => {
                    assert_eq!(frames.next(), Some(&(kind, handle, &*payload)));
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "an error stays");
                    assert_eq!(frames.next(), None);
                    return Rest::Garbage(error);
                }
            }
        }
        let asked = largest_request();
        assert!(asked <= AHEAD, "{asked} bytes of memory for what has not come");
    }
    assert_eq!(frames.next(), None);
    if decoder.is_amid_frame() { Rest::PartOfFrame } else { Rest::Nothing }
}

fuzz_target!(|input: Input<'_>| {
    let mut stream = Vec::new();
    for part in &input.parts {
        part.write(&mut stream);
    }
    stream.truncate(STREAM);
    let (frames, rest) = cut(&stream);
    assert_eq!(decode(&stream, input.pieces, &frames), rest);
    assert_eq!(decode(&stream, [u16::MAX; 4], &frames), rest);
});

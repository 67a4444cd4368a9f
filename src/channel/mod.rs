//! The message lane: frames that go by memory, or by a stream, the same at both ends.
//!
//! Small frames go through a [`ring`](crate::sys::ring) of shared memory, without a system call
//! unless the reader sleeps. The stream wakes it then, with a frame of [`Kind::Wake`], and carries
//! what the memory has no room for, or can't carry: large frames, and those with a descriptor. Where
//! the frames go on in the other of the two, the writer puts a frame of [`Kind::Switch`], so there
//! is one order of all frames.
//!
//! A [`Channel`] does the reading, writing and queueing and knows no event loop: its owner calls
//! it when the stream is ready, and asks [`Channel::is_idle`] whether to wait for room.

mod handle;
mod outgoing;

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    time::Duration,
};

pub use outgoing::Flushed;
use outgoing::{Chunk, Outgoing, write};

use crate::{
    error::{Error, Result},
    protocol::{
        frame::{self, Decoder, HEADER, Kind, parse_header},
        handle::HandleType,
    },
    sys::{
        lane::{self, Received},
        ring::{Reader, Ring, Writer},
    },
};

/// Reads of one readiness, at most: other events of the loop want their turn.
const READS_A_TURN: usize = 16;

/// The longest payload that goes by memory; the stream has no more to do for a longer one than for
/// a short one.
const LONGEST_IN_MEMORY: usize = 32 * 1024;

/// Payloads below this length are queued with their header in one piece.
const SHORT: usize = 4 * 1024;

/// A whole message that has come in.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub payload: Cow<'a, [u8]>,
    /// What came along. The descriptor is missing where this process had no room for it.
    pub handle: Option<(HandleType, Option<OwnedFd>)>,
}

/// Whether more can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// When the stream becomes readable.
    Open,
    /// There is more already, for the next turn.
    More,
    /// The peer has closed its end, or died. All it sent has been received.
    Ended,
}

/// Where frames go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Memory,
    Stream,
}

/// One end of a message lane.
pub struct Channel {
    stream: OwnedFd,
    writer: Writer,
    reader: Reader,
    /// Where the next frame is to be written.
    writing: Way,
    /// Where the next frame is to be read.
    reading: Way,
    decoder: Decoder,
    /// A frame from memory.
    copy: Vec<u8>,
    /// Descriptors whose frames are not whole yet, or places of those that were lost.
    arrived: VecDeque<Option<OwnedFd>>,
    outgoing: Outgoing,
    received: usize,
}

impl Channel {
    /// `stream` is one end of a [`lane::stream_pair`].
    pub fn new(stream: OwnedFd, Ring { writer, reader }: Ring) -> Self {
        Self {
            stream,
            writer,
            reader,
            writing: Way::Memory,
            reading: Way::Memory,
            decoder: Decoder::default(),
            copy: Vec::new(),
            arrived: VecDeque::new(),
            outgoing: Outgoing::default(),
            received: 0,
        }
    }

    /// The number of the stream's descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Bytes that have come in, altogether.
    pub fn received(&self) -> usize {
        self.received
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends a message behind those already queued, at once if there are none. Says how many bytes
    /// are queued then, this message's among them, or 0 when it has gone.
    ///
    /// # Errors
    /// [`Error::System`] when the peer is gone or the descriptor can't be sent, [`Error::Frame`]
    /// when the payload is too long, [`Error::Memory`] when the peer has spoilt the memory. In all
    /// cases the message is not sent.
    pub fn send(
        &mut self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<usize> {
        if handle.is_none() && self.send_by_memory(kind, &payload)? {
            return Ok(0);
        }
        self.write_by_stream()?;
        self.send_by_stream(kind, payload, handle)?;
        Ok(self.outgoing.len())
    }

    /// Whether the frame could go by memory, and went.
    fn send_by_memory(&mut self, kind: Kind, payload: &[u8]) -> Result<bool> {
        // There is always room for a switch left.
        let needed = HEADER + payload.len() + HEADER;
        if payload.len() > LONGEST_IN_MEMORY || needed > self.writer.room() {
            return Ok(false);
        }
        if self.writing == Way::Stream && !self.write_by_memory()? {
            return Ok(false);
        }
        let header = frame::header(kind, None, payload.len())?;
        self.writer.write(&[&header, payload]);
        // What waits in the stream wakes the reader as well.
        if self.writer.must_wake() && self.is_idle() {
            // Where it does not go, there is something to read, or nobody to read it.
            let wake = frame::header(Kind::Wake, None, 0)?;
            let sent = write(&self.stream, &[IoSlice::new(&wake)], None).unwrap_or(0);
            if 0 < sent && sent < wake.len() {
                self.queue(wake.to_vec(), sent);
            }
        }
        Ok(true)
    }

    /// Has the frames go on in the memory, if the stream takes the switch: what is in the memory is
    /// said to be gone, and nobody would look there if this process died with the switch.
    fn write_by_memory(&mut self) -> Result<bool> {
        if !self.is_idle() {
            return Ok(false);
        }
        let switch = frame::header(Kind::Switch, None, 0)?;
        let sent = write(&self.stream, &[IoSlice::new(&switch)], None)?;
        if sent == 0 {
            return Ok(false);
        }
        self.writing = Way::Memory;
        if sent < switch.len() {
            self.queue(switch.to_vec(), sent);
        }
        Ok(self.is_idle())
    }

    /// Has the frames go on in the stream.
    fn write_by_stream(&mut self) -> Result<()> {
        if self.writing == Way::Memory {
            let switch = frame::header(Kind::Switch, None, 0)?;
            if !self.writer.write(&[&switch]) {
                return Err(Error::Memory);
            }
            self.writing = Way::Stream;
        }
        Ok(())
    }

    fn send_by_stream(
        &mut self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<()> {
        let (handle, mut descriptor) = handle.unzip();
        let header = frame::header(kind, handle, payload.len())?;
        let mut sent = 0;
        if self.is_idle() {
            let slices = [IoSlice::new(&header), IoSlice::new(&payload)];
            sent = write(&self.stream, &slices, descriptor.as_ref().map(AsFd::as_fd))?;
            if sent == header.len() + payload.len() {
                return Ok(());
            }
            if sent > 0 {
                descriptor = None;
            }
        }
        if !payload.is_empty() && payload.len() < SHORT {
            let bytes = [header.as_slice(), &payload].concat();
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message: true });
            return Ok(());
        }
        if sent < header.len() {
            let ends_message = payload.is_empty();
            let bytes = header.to_vec();
            self.outgoing.push(Chunk { bytes, sent, descriptor, ends_message });
        }
        if !payload.is_empty() {
            let sent = sent.saturating_sub(header.len());
            let (bytes, sent) = match payload {
                Cow::Owned(payload) => (payload, sent),
                Cow::Borrowed(payload) => (payload[sent..].to_vec(), 0),
            };
            self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: true });
        }
        Ok(())
    }

    /// Queues the rest of a frame that is no message.
    fn queue(&mut self, bytes: Vec<u8>, sent: usize) {
        self.outgoing.push(Chunk { bytes, sent, descriptor: None, ends_message: false });
    }

    /// Writes what is queued until the stream is full, or refuses a message.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn flush(&mut self) -> Result<Flushed> {
        self.outgoing.flush(&self.stream)
    }

    /// Sends what is queued, and waits for room, as long as the peer makes some within `patience`.
    /// Says whether all is sent, or nobody left to read it. Only for a process that is about to end:
    /// it blocks.
    pub fn send_last_words(&mut self, patience: Duration) -> bool {
        while !self.is_idle() && lane::becomes_writable(&self.stream, patience) {
            if self.flush().is_err() {
                return true;
            }
        }
        self.is_idle()
    }

    /// Reads what is there, for one turn of the event loop, and gives each message to `take`.
    ///
    /// # Errors
    /// When garbage comes, which `take` may say as well. The messages before it have been taken.
    pub fn receive(&mut self, mut take: impl FnMut(Incoming<'_>) -> Result<()>) -> Result<Reading> {
        for _ in 0..READS_A_TURN {
            let spare = self.decoder.spare();
            let room = spare.len();
            let received = match lane::receive(&self.stream, spare) {
                Ok(received) if received.length > 0 => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The end; or the peer died with messages of ours unread.
                _ => {
                    self.decode(&mut take)?;
                    return Ok(Reading::Ended);
                }
            };
            let Received { length, descriptor, truncated } = received;
            self.received += length;
            // A read ends with the bytes that a descriptor came with.
            let may_be_more = length == room || descriptor.is_some() || truncated;
            if descriptor.is_some() || truncated {
                self.arrived.push_back(descriptor);
            }
            self.decoder.filled(length);
            self.decode(&mut take)?;
            if !may_be_more {
                return self.rest();
            }
        }
        self.receive_more(take)
    }

    /// As [`receive`](Self::receive), without looking at the stream.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_more(
        &mut self,
        mut take: impl FnMut(Incoming<'_>) -> Result<()>,
    ) -> Result<Reading> {
        self.decode(&mut take)?;
        self.rest()
    }

    /// Nothing is left to read; unless something has come meanwhile.
    fn rest(&self) -> Result<Reading> {
        let rests =
            self.reading == Way::Stream || self.reader.sleep().map_err(|_| Error::Memory)?;
        Ok(if rests { Reading::Open } else { Reading::More })
    }

    fn decode(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        loop {
            let way = self.reading;
            match way {
                Way::Memory => self.decode_memory(take)?,
                Way::Stream => self.decode_stream(take)?,
            }
            if self.reading == way {
                break;
            }
        }
        // At most that of the next frame can be here before it.
        if self.arrived.len() > usize::from(self.decoder.is_amid_frame()) {
            return Err(Error::UnclaimedHandle);
        }
        Ok(())
    }

    /// Takes what is in the memory now, up to a switch.
    fn decode_memory(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        let mut unread = self.reader.unread().map_err(|_| Error::Memory)?;
        while unread > 0 {
            let mut header = [0; HEADER];
            // Frames are written whole.
            unread = unread.checked_sub(HEADER).ok_or(Error::Memory)?;
            self.reader.peek(&mut header);
            let (kind, handle, length) = parse_header(&header)?;
            unread = unread.checked_sub(length).ok_or(Error::Memory)?;
            let frame = HEADER + length;
            if self.copy.len() < frame {
                self.copy.resize(frame, 0);
            }
            self.reader.peek(&mut self.copy[..frame]);
            self.reader.take(frame);
            self.received += frame;
            match (kind, handle) {
                (Kind::Switch, None) if length == 0 => {
                    self.reading = Way::Stream;
                    return Ok(());
                }
                (Kind::Switch | Kind::Wake, _) | (_, Some(_)) => return Err(Error::Memory),
                _ => {
                    let payload = Cow::Borrowed(&self.copy[HEADER..frame]);
                    take(Incoming { kind, payload, handle: None })?;
                }
            }
        }
        // The switch is written before the first frame in the stream.
        while let Some(frame) = self.decoder.next()? {
            if frame.kind != Kind::Wake {
                return Err(Error::Unexpected);
            }
        }
        Ok(())
    }

    /// Takes what has come by the stream, up to a switch.
    fn decode_stream(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        while let Some(frame) = self.decoder.next()? {
            match frame.kind {
                Kind::Wake => continue,
                Kind::Switch => {
                    self.reading = Way::Memory;
                    return Ok(());
                }
                _ => {}
            }
            let handle = match frame.handle {
                None => None,
                Some(handle) => {
                    let descriptor = self.arrived.pop_front().ok_or(Error::NoHandle)?;
                    if descriptor.as_ref().is_some_and(|it| !handle::fits(it, handle)) {
                        return Err(Error::WrongHandle(handle));
                    }
                    Some((handle, descriptor))
                }
            };
            take(Incoming { kind: frame.kind, payload: frame.payload, handle })?;
        }
        Ok(())
    }

    /// Ends the lane for every holder of this end; the peer still receives what was written.
    pub fn shutdown(&self) {
        lane::shutdown(self.stream.as_fd());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::ring::{self, Side};

    fn pair() -> (Channel, Channel) {
        let (one, other) = lane::stream_pair().unwrap();
        let memory = ring::create().unwrap();
        let map = |side| Ring::map(&memory, side).unwrap();
        (Channel::new(one, map(Side::Primary)), Channel::new(other, map(Side::Worker)))
    }

    fn texts<'a>(messages: &'a [Incoming<'_>]) -> Vec<&'a str> {
        messages.iter().map(|message| str::from_utf8(&message.payload).unwrap()).collect()
    }

    fn payload(text: &str) -> Cow<'_, [u8]> {
        Cow::Borrowed(text.as_bytes())
    }

    fn send(channel: &mut Channel, text: &str) {
        channel.send(Kind::Text, payload(text), None).unwrap();
    }

    fn receive(channel: &mut Channel, messages: &mut Vec<Incoming<'static>>) -> Result<Reading> {
        channel.receive(|Incoming { kind, payload, handle }| {
            messages.push(Incoming { kind, payload: Cow::Owned(payload.into_owned()), handle });
            Ok(())
        })
    }

    fn send_handle(channel: &mut Channel, text: &str) -> OwnedFd {
        let (cargo, other) = lane::stream_pair().unwrap();
        let handle = Some((HandleType::PipeSocket, cargo));
        channel.send(Kind::Text, payload(text), handle).unwrap();
        other
    }

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut one, mut other) = pair();
        send(&mut one, "1");
        one.send(Kind::Notice, payload(""), None).unwrap();
        send(&mut one, "\"☃\"");
        assert!(one.is_idle());
        let mut messages = Vec::new();
        assert_eq!(receive(&mut other, &mut messages).unwrap(), Reading::Open);
        assert_eq!(texts(&messages), ["1", "", "\"☃\""]);
        assert_eq!(messages[1].kind, Kind::Notice);
    }

    #[test]
    fn what_the_socket_does_not_take_is_queued_and_flushed_in_order() {
        let (mut one, mut other) = pair();
        let long = "x".repeat(1 << 20);
        for text in ["first", &long, "", &long, "last"] {
            send(&mut one, text);
        }
        assert!(one.outgoing.len() > 1 << 20);
        let mut messages = Vec::new();
        let mut flushed = 1;
        while messages.len() < 5 {
            flushed += one.flush().unwrap().messages;
            receive(&mut other, &mut messages).unwrap();
        }
        assert_eq!(texts(&messages), ["first", &long, "", &long, "last"]);
        assert_eq!((flushed, one.outgoing.len(), one.is_idle()), (5, 0, true));
    }

    #[test]
    fn the_end_comes_after_the_last_message() {
        let (mut one, mut other) = pair();
        send(&mut one, "last words");
        drop(one);
        let mut messages = Vec::new();
        while receive(&mut other, &mut messages).unwrap() == Reading::Open {}
        assert_eq!(texts(&messages), ["last words"]);
    }

    #[test]
    fn last_words_are_sent_as_long_as_somebody_reads() {
        let (stream, theirs) = lane::stream_pair().unwrap();
        let memory = ring::create().unwrap();
        let mut one = Channel::new(stream, Ring::map(&memory, Side::Primary).unwrap());
        let long = "x".repeat(1 << 20);
        send(&mut one, &long);
        assert!(!one.is_idle());
        assert!(!one.send_last_words(Duration::from_millis(1)), "nobody reads");
        let reading = std::thread::spawn(move || {
            let mut other = Channel::new(theirs, Ring::map(&memory, Side::Worker).unwrap());
            let mut messages = Vec::new();
            while messages.is_empty() {
                receive(&mut other, &mut messages).unwrap();
            }
            messages[0].payload.len()
        });
        assert!(one.send_last_words(Duration::from_secs(20)));
        assert_eq!(reading.join().unwrap(), long.len());
    }

    #[test]
    fn what_is_said_to_be_gone_arrives_though_its_sender_dies_with_the_stream_full() {
        // Of one of these lengths, a message just fills the stream.
        for length in (0..200_000).step_by(2_000) {
            let (mut one, mut other) = pair();
            lane::limit_send_buffer(&one.stream, 40_000).unwrap();
            let long = "x".repeat(length);
            let texts = [&long, "short"].map(payload);
            let queued = texts.map(|text| one.send(Kind::Text, text, None).unwrap());
            let gone = queued.iter().filter(|&&queued| queued == 0).count();
            drop(one);
            let mut messages = Vec::new();
            while receive(&mut other, &mut messages).unwrap() != Reading::Ended {}
            assert_eq!(messages.len(), gone, "after a message of {length} bytes");
        }
    }

    #[test]
    fn a_shutdown_ends_the_lane_though_others_hold_the_socket() {
        let (one, mut other) = pair();
        let _held = one.stream.try_clone().unwrap();
        one.shutdown();
        assert_eq!(receive(&mut other, &mut Vec::new()).unwrap(), Reading::Ended);
    }

    #[test]
    fn garbage_is_an_error_after_the_messages_before_it() {
        let (mut one, mut other) = pair();
        send(&mut one, "fine");
        lane::send(&one.stream, &[IoSlice::new(&[0xff; 16])], None).unwrap();
        let mut messages = Vec::new();
        assert!(receive(&mut other, &mut messages).is_err());
        assert_eq!(texts(&messages), ["fine"]);
        send(&mut one, "more");
    }

    #[test]
    fn each_descriptor_arrives_with_its_own_message() {
        let (mut one, mut other) = pair();
        let long = "x".repeat(1 << 20);
        let mut kept = Vec::new();
        // Queued and not, long and short, with a descriptor and without one.
        for round in 1..=20 {
            send(&mut one, "plain");
            let text = if round % 5 == 0 { &long } else { "cargo" };
            kept.push(send_handle(&mut one, text));
        }
        let mut messages = Vec::new();
        while messages.len() < 40 {
            one.flush().unwrap();
            receive(&mut other, &mut messages).unwrap();
        }
        let mut kept = kept.into_iter();
        for (index, message) in messages.into_iter().enumerate() {
            let Some((handle, descriptor)) = message.handle else {
                assert_eq!((index % 2, &*message.payload), (0, b"plain".as_slice()));
                continue;
            };
            assert_eq!((index % 2, handle), (1, HandleType::PipeSocket));
            let (descriptor, kept) = (descriptor.unwrap(), kept.next().unwrap());
            lane::send(&kept, &[IoSlice::new(b"!")], None).unwrap();
            assert_eq!(lane::unread(&descriptor).unwrap(), 1, "the two ends of one pair");
        }
    }

    #[test]
    fn a_descriptor_that_no_frame_speaks_of_is_garbage() {
        let (one, mut other) = pair();
        let wake = frame::header(Kind::Wake, None, 0).unwrap();
        lane::send(&one.stream, &[IoSlice::new(&wake)], Some(one.stream.as_fd())).unwrap();
        let result = receive(&mut other, &mut Vec::new());
        assert!(matches!(result, Err(Error::UnclaimedHandle)));
    }

    #[test]
    fn a_descriptor_of_another_type_is_garbage() {
        let (mut one, mut other) = pair();
        for handle in [HandleType::PipeServer, HandleType::TcpSocket, HandleType::UdpNative] {
            let (cargo, _end) = lane::stream_pair().unwrap();
            one.send(Kind::Text, payload("?"), Some((handle, cargo))).unwrap();
            let result = receive(&mut other, &mut Vec::new());
            assert!(matches!(result, Err(Error::WrongHandle(wrong)) if wrong == handle));
        }
    }

    #[test]
    fn a_frame_whose_descriptor_does_not_come_is_garbage() {
        let (mut one, mut other) = pair();
        let _end = send_handle(&mut one, "a good one");
        let header = frame::header(Kind::Text, Some(HandleType::TcpSocket), 0).unwrap();
        lane::send(&one.stream, &[IoSlice::new(&header)], None).unwrap();
        assert!(matches!(receive(&mut other, &mut Vec::new()), Err(Error::NoHandle)));
    }

    #[test]
    fn a_message_in_the_stream_without_a_switch_before_it_is_garbage() {
        let (one, mut other) = pair();
        let header = frame::header(Kind::Text, None, 0).unwrap();
        lane::send(&one.stream, &[IoSlice::new(&header)], None).unwrap();
        assert!(matches!(receive(&mut other, &mut Vec::new()), Err(Error::Unexpected)));
    }

    #[test]
    fn memory_that_carries_no_frames_is_garbage() {
        for garbage in [
            // Less than a header; a frame that is not all there; a wake, which makes no sense here.
            [1, 0, 0].as_slice(),
            &frame::header(Kind::Text, None, 1).unwrap(),
            &frame::header(Kind::Wake, None, 0).unwrap(),
            &frame::header(Kind::Text, Some(HandleType::UdpNative), 0).unwrap(),
            &[0xff; 20],
        ] {
            let (mut one, mut other) = pair();
            send(&mut one, "fine");
            one.writer.write(&[garbage]);
            let mut messages = Vec::new();
            assert!(receive(&mut other, &mut messages).is_err());
            assert_eq!(texts(&messages), ["fine"]);
        }
    }

    /// One end does something.
    #[derive(Debug, Clone)]
    enum Step {
        Send(usize),
        SendHandle(usize),
        Flush,
        Receive,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let length =
            || prop_oneof![4 => 0usize..100, 2 => 10_000usize..60_000, 1 => 0usize..300_000];
        let step = prop_oneof![
            6 => length().prop_map(Step::Send),
            1 => length().prop_map(Step::SendHandle),
            1 => Just(Step::Flush),
            2 => Just(Step::Receive),
        ];
        prop::collection::vec(step, 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_arrives_once_and_in_order_whatever_the_two_do(steps in steps()) {
            let (mut one, mut other) = pair();
            let (mut sent, mut received) = (Vec::new(), Vec::new());
            let mut reading = Reading::Open;
            for step in steps {
                match step {
                    Step::Send(length) => {
                        let text = format!("{}{}", sent.len(), "x".repeat(length));
                        send(&mut one, &text);
                        sent.push((text, false));
                    }
                    Step::SendHandle(length) => {
                        let text = format!("{}{}", sent.len(), "h".repeat(length));
                        drop(send_handle(&mut one, &text));
                        sent.push((text, true));
                    }
                    Step::Flush => drop(one.flush().unwrap()),
                    Step::Receive => reading = receive(&mut other, &mut received).unwrap(),
                }
            }
            // As an event loop does it, which can wait for nothing but the stream.
            for _ in 0..10_000 {
                one.flush().unwrap();
                if reading == Reading::More || lane::unread(&other.stream).unwrap() > 0 {
                    reading = receive(&mut other, &mut received).unwrap();
                }
            }
            let received: Vec<_> = received
                .iter()
                .map(|it| (str::from_utf8(&it.payload).unwrap(), it.handle.is_some()))
                .collect();
            let sent: Vec<_> = sent.iter().map(|(text, handle)| (text.as_str(), *handle)).collect();
            prop_assert!(received == sent, "{} of {}", received.len(), sent.len());
            prop_assert!(one.is_idle());
        }
    }
}

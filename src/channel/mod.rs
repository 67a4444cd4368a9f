//! The message lane: frames over a socket, the same at both ends.
//!
//! A [`Channel`] does the reading, writing and queueing and knows no event loop: its owner calls
//! it when the socket is ready, and asks [`Channel::is_idle`] whether to wait for room.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use crate::{
    error::{Error, Result},
    protocol::{
        frame::{self, Decoder, Kind},
        handle::HandleType,
    },
    sys::{
        lane::{self, Received},
        socket::{self, Nature},
    },
};

/// Reads of one readiness, at most: other events of the loop want their turn.
const READS_A_TURN: usize = 16;

/// Chunks handed to the kernel in one call, at most.
const CHUNKS_A_WRITE: usize = 64;

/// A whole message that has come in.
#[derive(Debug)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub payload: Vec<u8>,
    /// What came along. The descriptor is missing where this process had no room for it.
    pub handle: Option<(HandleType, Option<OwnedFd>)>,
}

/// Whether more can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The peer is there.
    Open,
    /// The peer has closed its end, or died. All it sent has been received.
    Ended,
}

/// What became of queued messages.
#[derive(Debug, Default)]
pub struct Flushed {
    /// How many are gone.
    pub messages: usize,
    /// Why the one after them could not be sent, if so. It is out of the queue; there may be more
    /// to flush.
    pub refused: Option<io::Error>,
}

/// Bytes that wait for room in the socket.
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    /// To go with the first byte.
    descriptor: Option<OwnedFd>,
    /// Whether a message is complete when these bytes are gone.
    ends_message: bool,
}

impl Chunk {
    fn rest(&self) -> IoSlice<'_> {
        IoSlice::new(&self.bytes[self.sent..])
    }
}

/// One end of a message lane.
pub struct Channel {
    socket: OwnedFd,
    decoder: Decoder,
    /// Descriptors whose frames are not whole yet, or places of those that were lost.
    arrived: VecDeque<Option<OwnedFd>>,
    outgoing: VecDeque<Chunk>,
    queued: usize,
    received: usize,
}

impl Channel {
    /// `socket` is one end of a [`lane::stream_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            decoder: Decoder::default(),
            arrived: VecDeque::new(),
            outgoing: VecDeque::new(),
            queued: 0,
            received: 0,
        }
    }

    /// The descriptor's number, to poll it.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Bytes accepted by [`send`](Self::send) that the socket has not taken yet.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes that have come in, altogether.
    pub fn received(&self) -> usize {
        self.received
    }

    /// Whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends a message behind those already queued, at once if there are none.
    ///
    /// # Errors
    /// [`Error::System`] when the peer is gone or the descriptor can't be sent, [`Error::Frame`]
    /// when the payload is too long. In all cases the message is not sent.
    pub fn send(
        &mut self,
        kind: Kind,
        payload: Vec<u8>,
        handle: Option<(HandleType, OwnedFd)>,
    ) -> Result<()> {
        let (handle, mut descriptor) = handle.unzip();
        let header = frame::header(kind, handle, payload.len())?;
        let mut sent = 0;
        if self.is_idle() {
            let slices = [IoSlice::new(&header), IoSlice::new(&payload)];
            sent = self.write(&slices, descriptor.as_ref().map(AsFd::as_fd))?;
            if sent == header.len() + payload.len() {
                return Ok(());
            }
            if sent > 0 {
                descriptor = None;
            }
        }
        if sent < header.len() {
            let (bytes, ends_message) = (header.to_vec(), payload.is_empty());
            self.queue(Chunk { bytes, sent, descriptor, ends_message });
        }
        if !payload.is_empty() {
            let sent = sent.saturating_sub(header.len());
            self.queue(Chunk { bytes: payload, sent, descriptor: None, ends_message: true });
        }
        Ok(())
    }

    fn queue(&mut self, chunk: Chunk) {
        self.queued += chunk.bytes.len() - chunk.sent;
        self.outgoing.push_back(chunk);
    }

    /// Writes what is queued until the socket is full, or refuses a message.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn flush(&mut self) -> Result<Flushed> {
        let mut flushed = Flushed::default();
        while let Some(first) = self.outgoing.front() {
            let descriptor = first.descriptor.as_ref().map(AsFd::as_fd);
            // A descriptor goes with the first byte of a write, so the next one ends it.
            let others = self.outgoing.iter().skip(1).take(CHUNKS_A_WRITE - 1);
            let slices: Vec<_> = [first.rest()]
                .into_iter()
                .chain(others.take_while(|it| it.descriptor.is_none()).map(Chunk::rest))
                .collect();
            match self.write(&slices, descriptor) {
                Ok(0) => break,
                Ok(sent) => flushed.messages += self.forget(sent),
                Err(Error::System { source, .. }) if descriptor.is_some() && !is_gone(&source) => {
                    self.drop_message();
                    flushed.refused = Some(source);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(flushed)
    }

    /// Takes the first message out of the queue, of which nothing has been sent.
    fn drop_message(&mut self) {
        while let Some(chunk) = self.outgoing.pop_front() {
            self.queued -= chunk.bytes.len();
            if chunk.ends_message {
                break;
            }
        }
    }

    /// Drops `sent` bytes from the queue, and counts the messages that end in them.
    fn forget(&mut self, sent: usize) -> usize {
        self.queued -= sent;
        let mut rest = sent;
        let mut messages = 0;
        while let Some(chunk) = self.outgoing.front_mut() {
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
            self.outgoing.pop_front();
        }
        messages
    }

    /// How many bytes the socket took; 0 when it is full.
    fn write(&self, slices: &[IoSlice<'_>], descriptor: Option<BorrowedFd<'_>>) -> Result<usize> {
        match lane::send(&self.socket, slices, descriptor) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result.map_err(Error::system("sendmsg")),
        }
    }

    /// Reads what is there, for one turn of the event loop, into `messages`.
    ///
    /// # Errors
    /// When the stream carries garbage. The messages before it are in `messages`.
    pub fn receive(&mut self, messages: &mut Vec<Incoming>) -> Result<Reading> {
        for _ in 0..READS_A_TURN {
            let spare = self.decoder.spare();
            let room = spare.len();
            let received = match lane::receive(&self.socket, spare) {
                Ok(received) if received.length == 0 => return Ok(Reading::Ended),
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The peer died with messages of ours unread.
                Err(_) => return Ok(Reading::Ended),
            };
            let Received { length, descriptor, truncated } = received;
            self.received += length;
            // A read ends with the bytes that a descriptor came with.
            let may_be_more = length == room || descriptor.is_some() || truncated;
            if descriptor.is_some() || truncated {
                self.arrived.push_back(descriptor);
            }
            self.decoder.filled(length);
            self.decode(messages)?;
            if !may_be_more {
                break;
            }
        }
        Ok(Reading::Open)
    }

    fn decode(&mut self, messages: &mut Vec<Incoming>) -> Result<()> {
        while let Some(frame) = self.decoder.next()? {
            let handle = match frame.handle {
                None => None,
                Some(handle) => {
                    let descriptor = self.arrived.pop_front().ok_or(Error::NoHandle)?;
                    if descriptor.as_ref().is_some_and(|it| !fits(it, handle)) {
                        return Err(Error::WrongHandle(handle));
                    }
                    Some((handle, descriptor))
                }
            };
            let payload = frame.payload.into_owned();
            messages.push(Incoming { kind: frame.kind, payload, handle });
        }
        // At most that of the next frame can be here before it.
        if self.arrived.len() > usize::from(self.decoder.is_amid_frame()) {
            return Err(Error::UnclaimedHandle);
        }
        Ok(())
    }

    /// Ends the lane for every holder of this end; the peer still receives what was written.
    pub fn shutdown(&self) {
        lane::shutdown(self.socket.as_fd());
    }
}

/// Whether a descriptor is what its sender says it is. What JavaScript makes of another one would
/// fail, or abort, later on.
fn fits(descriptor: &OwnedFd, handle: HandleType) -> bool {
    let Some(nature) = socket::nature(descriptor) else { return false };
    match handle {
        HandleType::TcpSocket => nature == Nature::Tcp { listening: false },
        HandleType::TcpServer => nature == Nature::Tcp { listening: true },
        HandleType::TcpNative => matches!(nature, Nature::Tcp { .. }),
        HandleType::PipeSocket => {
            matches!(nature, Nature::Pipe { listening: false } | Nature::Fifo)
        }
        HandleType::PipeServer => nature == Nature::Pipe { listening: true },
        HandleType::PipeNative => matches!(nature, Nature::Pipe { .. } | Nature::Fifo),
        HandleType::Udp4Socket | HandleType::Udp6Socket | HandleType::UdpNative => {
            nature == Nature::Udp
        }
    }
}

/// Whether nobody will read any more; what else goes wrong is about what was to be sent.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = lane::stream_pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    fn texts(messages: &[Incoming]) -> Vec<&str> {
        messages.iter().map(|message| str::from_utf8(&message.payload).unwrap()).collect()
    }

    fn send(channel: &mut Channel, text: &str) {
        channel.send(Kind::Message, text.into(), None).unwrap();
    }

    fn send_handle(channel: &mut Channel, text: &str) -> OwnedFd {
        let (cargo, other) = lane::stream_pair().unwrap();
        let handle = Some((HandleType::PipeSocket, cargo));
        channel.send(Kind::Message, text.into(), handle).unwrap();
        other
    }

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut one, mut other) = pair();
        send(&mut one, "1");
        one.send(Kind::Notice, Vec::new(), None).unwrap();
        send(&mut one, "\"☃\"");
        assert!(one.is_idle());
        let mut messages = Vec::new();
        assert_eq!(other.receive(&mut messages).unwrap(), Reading::Open);
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
        assert!(one.queued() > 1 << 20);
        let mut messages = Vec::new();
        let mut flushed = 1;
        while messages.len() < 5 {
            flushed += one.flush().unwrap().messages;
            other.receive(&mut messages).unwrap();
        }
        assert_eq!(texts(&messages), ["first", &long, "", &long, "last"]);
        assert_eq!((flushed, one.queued(), one.is_idle()), (5, 0, true));
    }

    #[test]
    fn the_end_comes_after_the_last_message() {
        let (mut one, mut other) = pair();
        send(&mut one, "last words");
        drop(one);
        let mut messages = Vec::new();
        while other.receive(&mut messages).unwrap() == Reading::Open {}
        assert_eq!(texts(&messages), ["last words"]);
        let gone = other.send(Kind::Message, "?".into(), None);
        assert!(matches!(gone, Err(Error::System { .. })));
    }

    #[test]
    fn a_shutdown_ends_the_lane_though_others_hold_the_socket() {
        let (one, mut other) = pair();
        let _held = one.socket.try_clone().unwrap();
        one.shutdown();
        assert_eq!(other.receive(&mut Vec::new()).unwrap(), Reading::Ended);
    }

    #[test]
    fn garbage_is_an_error_after_the_messages_before_it() {
        let (mut one, mut other) = pair();
        send(&mut one, "fine");
        lane::send(&one.socket, &[IoSlice::new(&[0xff; 16])], None).unwrap();
        let mut messages = Vec::new();
        assert!(other.receive(&mut messages).is_err());
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
            other.receive(&mut messages).unwrap();
        }
        let mut kept = kept.into_iter();
        for (index, message) in messages.into_iter().enumerate() {
            let Some((handle, descriptor)) = message.handle else {
                assert_eq!((index % 2, message.payload.as_slice()), (0, b"plain".as_slice()));
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
        let header = frame::header(Kind::Message, None, 0).unwrap();
        lane::send(&one.socket, &[IoSlice::new(&header)], Some(one.socket.as_fd())).unwrap();
        let result = other.receive(&mut Vec::new());
        assert!(matches!(result, Err(Error::UnclaimedHandle)));
    }

    #[test]
    fn a_descriptor_of_another_type_is_garbage() {
        let (mut one, mut other) = pair();
        for handle in [HandleType::PipeServer, HandleType::TcpSocket, HandleType::UdpNative] {
            let (cargo, _end) = lane::stream_pair().unwrap();
            one.send(Kind::Message, "?".into(), Some((handle, cargo))).unwrap();
            let result = other.receive(&mut Vec::new());
            assert!(matches!(result, Err(Error::WrongHandle(wrong)) if wrong == handle));
        }
    }

    #[test]
    fn a_frame_whose_descriptor_does_not_come_is_garbage() {
        let (one, mut other) = pair();
        let header = frame::header(Kind::Message, Some(HandleType::TcpSocket), 0).unwrap();
        lane::send(&one.socket, &[IoSlice::new(&header)], None).unwrap();
        assert!(matches!(other.receive(&mut Vec::new()), Err(Error::NoHandle)));
    }
}

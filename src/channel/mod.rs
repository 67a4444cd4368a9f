//! The message lane: frames over a socket, the same at both ends.
//!
//! A [`Channel`] does the reading, writing and queueing and knows no event loop: its owner calls
//! it when the socket is ready, and asks [`Channel::is_idle`] whether to wait for room.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

use crate::{
    error::{Error, Result},
    protocol::frame::{self, Decoder, Kind},
    sys::lane,
};

/// Reads of one readiness, at most: other events of the loop want their turn.
const READS_A_TURN: usize = 16;

/// Chunks handed to the kernel in one call, at most.
const CHUNKS_A_WRITE: usize = 64;

/// A whole message that has come in.
#[derive(Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// Its JSON text.
    pub text: String,
}

/// Whether more can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The peer is there.
    Open,
    /// The peer has closed its end, or died. All it sent has been received.
    Ended,
}

/// Bytes that wait for room in the socket.
struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether a message is complete when these bytes are gone.
    ends_message: bool,
}

/// One end of a message lane.
pub struct Channel {
    socket: OwnedFd,
    decoder: Decoder,
    outgoing: VecDeque<Chunk>,
    queued: usize,
    received: usize,
}

impl Channel {
    /// `socket` is one end of a [`lane::stream_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        let decoder = Decoder::default();
        Self { socket, decoder, outgoing: VecDeque::new(), queued: 0, received: 0 }
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
    /// [`Error::System`] when the peer is gone, [`Error::Frame`] when `text` is too long. In both
    /// cases the message is not sent.
    pub fn send(&mut self, kind: Kind, text: String) -> Result<()> {
        let header = frame::header(kind, text.len())?;
        let payload = text.into_bytes();
        let mut sent = 0;
        if self.is_idle() {
            sent = self.write(&[IoSlice::new(&header), IoSlice::new(&payload)])?;
            if sent == header.len() + payload.len() {
                return Ok(());
            }
        }
        if sent < header.len() {
            self.queue(header.to_vec(), sent, payload.is_empty());
        }
        if !payload.is_empty() {
            self.queue(payload, sent.saturating_sub(header.len()), true);
        }
        Ok(())
    }

    fn queue(&mut self, bytes: Vec<u8>, sent: usize, ends_message: bool) {
        self.queued += bytes.len() - sent;
        self.outgoing.push_back(Chunk { bytes, sent, ends_message });
    }

    /// Writes what is queued until the socket is full, and says how many messages are gone.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn flush(&mut self) -> Result<usize> {
        let mut messages = 0;
        while !self.outgoing.is_empty() {
            let slices: Vec<_> = self
                .outgoing
                .iter()
                .take(CHUNKS_A_WRITE)
                .map(|chunk| IoSlice::new(&chunk.bytes[chunk.sent..]))
                .collect();
            let sent = self.write(&slices)?;
            if sent == 0 {
                break;
            }
            messages += self.forget(sent);
        }
        Ok(messages)
    }

    /// Drops `sent` bytes from the queue, and counts the messages that end in them.
    fn forget(&mut self, sent: usize) -> usize {
        self.queued -= sent;
        let mut rest = sent;
        let mut messages = 0;
        while let Some(chunk) = self.outgoing.front_mut() {
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
    fn write(&self, slices: &[IoSlice<'_>]) -> Result<usize> {
        match lane::send(&self.socket, slices) {
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
            let count = match lane::receive(&self.socket, spare) {
                Ok(0) => return Ok(Reading::Ended),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The peer died with messages of ours unread.
                Err(_) => return Ok(Reading::Ended),
            };
            self.decoder.filled(count);
            self.received += count;
            while let Some(frame) = self.decoder.next()? {
                let text = String::from_utf8(frame.payload.into_owned());
                let text = text.map_err(|_| Error::NotText)?;
                messages.push(Incoming { kind: frame.kind, text });
            }
            if count < room {
                break;
            }
        }
        Ok(Reading::Open)
    }

    /// Ends the lane for every holder of this end; the peer still receives what was written.
    pub fn shutdown(&self) {
        lane::shutdown(self.socket.as_fd());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = lane::stream_pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    fn texts(messages: &[Incoming]) -> Vec<&str> {
        messages.iter().map(|message| message.text.as_str()).collect()
    }

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut one, mut other) = pair();
        one.send(Kind::Message, "1".into()).unwrap();
        one.send(Kind::Notice, String::new()).unwrap();
        one.send(Kind::Message, "\"☃\"".into()).unwrap();
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
            one.send(Kind::Message, text.into()).unwrap();
        }
        assert!(one.queued() > 1 << 20);
        let mut messages = Vec::new();
        let mut flushed = 1;
        while messages.len() < 5 {
            flushed += one.flush().unwrap();
            other.receive(&mut messages).unwrap();
        }
        assert_eq!(texts(&messages), ["first", &long, "", &long, "last"]);
        assert_eq!((flushed, one.queued(), one.is_idle()), (5, 0, true));
    }

    #[test]
    fn the_end_comes_after_the_last_message() {
        let (mut one, mut other) = pair();
        one.send(Kind::Message, "last words".into()).unwrap();
        drop(one);
        let mut messages = Vec::new();
        while other.receive(&mut messages).unwrap() == Reading::Open {}
        assert_eq!(texts(&messages), ["last words"]);
        assert!(matches!(other.send(Kind::Message, "?".into()), Err(Error::System { .. })));
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
        one.send(Kind::Message, "fine".into()).unwrap();
        lane::send(&one.socket, &[IoSlice::new(&[0xff; 16])]).unwrap();
        let mut messages = Vec::new();
        assert!(other.receive(&mut messages).is_err());
        assert_eq!(texts(&messages), ["fine"]);
        one.send(Kind::Message, "more".into()).unwrap();
    }
}

use std::{borrow::Cow, collections::VecDeque, os::fd::OwnedFd};

use super::{adaptive_spin::AdaptiveSpin, handle, route::Route};
use crate::{
    error::{Error, Result},
    protocol::{
        frame::{Decoder, HEADER, Kind, parse_header},
        handle::HandleType,
    },
    sys::{
        failure::Failure,
        lane::{self, Received},
        ring::Reader,
    },
};

/// How often to read at most for one readiness, so that other events of the loop have their turn.
const READS_A_TURN: usize = 16;

/// A whole message that has come in.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub payload: Cow<'a, [u8]>,
    /// The handle that came with it. The descriptor is `None` if this process had no number for it.
    pub handle: Option<(HandleType, Option<OwnedFd>)>,
}

/// Whether more can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It can.
    Open,
    /// The peer has closed its end, or died. Everything it sent has been received.
    Ended,
}

/// How the reader learns that there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// The stream becomes readable.
    Asleep,
    /// There is more already.
    Awake,
}

/// The half of a [`Channel`](super::Channel) that receives.
pub(super) struct Receiver {
    /// Whether the peer has the memory too.
    has_memory: bool,
    pub(super) reader: Reader,
    /// Where the next frame is to be read.
    reading: Route,
    decoder: Decoder,
    /// The frame that was copied from memory.
    copy: Vec<u8>,
    /// Descriptors whose frames are not complete yet; `None` for those that were lost.
    arrived: VecDeque<Option<OwnedFd>>,
    /// Whether the last read met a shortage, whose end the stream does not signal.
    pub(super) reads_later: bool,
    /// How many bytes have been received in total.
    pub(super) received: usize,
    spin: AdaptiveSpin,
}

impl Receiver {
    pub(super) fn new(route: Route, reader: Reader) -> Self {
        Self {
            has_memory: route == Route::Memory,
            reader,
            reading: route,
            decoder: Decoder::default(),
            copy: Vec::new(),
            arrived: VecDeque::new(),
            reads_later: false,
            received: 0,
            spin: AdaptiveSpin::default(),
        }
    }

    /// See [`Channel::receive`](super::Channel::receive).
    pub(super) fn receive(
        &mut self,
        stream: &OwnedFd,
        mut take: impl FnMut(Incoming<'_>) -> Result<()>,
    ) -> Result<Reading> {
        for _ in 0..READS_A_TURN {
            let spare = self.decoder.spare();
            let room = spare.len();
            let received = lane::receive(stream, spare);
            self.reads_later = matches!(received, Err(Failure::Shortage(_)));
            let received = match received {
                Ok(received) if received.length > 0 => received,
                Err(Failure::WouldBlock | Failure::Shortage(_)) => break,
                // The end, or the peer died with unread messages.
                Ok(_) | Err(Failure::Gone) => {
                    self.decode(&mut take)?;
                    return Ok(Reading::Ended);
                }
                Err(Failure::Fault(fault)) => {
                    self.decode(&mut take)?;
                    return Err(fault.into());
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
                return Ok(Reading::Open);
            }
        }
        self.receive_more(take)?;
        Ok(Reading::Open)
    }

    /// See [`Channel::receive_more`](super::Channel::receive_more).
    pub(super) fn receive_more(
        &mut self,
        mut take: impl FnMut(Incoming<'_>) -> Result<()>,
    ) -> Result<()> {
        self.decode(&mut take)
    }

    /// See [`Channel::rest`](super::Channel::rest).
    pub(super) fn rest(&mut self) -> Result<Rest> {
        if self.reading == Route::Stream {
            return Ok(Rest::Asleep);
        }
        let Self { reader, spin, .. } = self;
        if spin.until(|| reader.unread() != Ok(0)) {
            return Ok(Rest::Awake);
        }
        let sleeps = reader.sleep().map_err(|_| Error::Memory)?;
        Ok(if sleeps { Rest::Asleep } else { Rest::Awake })
    }

    fn decode(&mut self, take: &mut impl FnMut(Incoming<'_>) -> Result<()>) -> Result<()> {
        loop {
            let way = self.reading;
            match way {
                Route::Memory => self.decode_memory(take)?,
                Route::Stream => self.decode_stream(take)?,
            }
            if self.reading == way {
                break;
            }
        }
        // At most one descriptor can arrive before its frame is complete.
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
                    self.reading = Route::Stream;
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
                Kind::Switch if !self.has_memory => return Err(Error::Memory),
                Kind::Switch => {
                    self.reading = Route::Memory;
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
}

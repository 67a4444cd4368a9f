//! The new primary's side of an upgrade, until everything has been offered: blocking, on the thread that asks, before
//! the engine's thread knows of it. `driver::predecessor` has the rest.

mod offering;

use std::{
    collections::HashMap,
    os::fd::{OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    protocol::{
        ListenerId,
        control::{BoundAddress, ControlError, MAX_PACKET, Query, decode, encode},
        upgrade::{
            Counted, Listener, MAX_REASON, NEWEST, OLDEST, OperatorKind, TicketKey, ToPredecessor,
            ToSuccessor,
        },
    },
    sys::{
        self,
        failure::{Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Kind},
    },
};

/// How long everything may take until it has been offered.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How many bytes of messages may come until then.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The lane to the old primary, until [`claimed`] takes it. A process has one at most.
static CLAIMED: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Keeps the lane that the old primary has left to this process at this number, and makes it close-on-exec. Says
/// whether it is such a lane.
pub fn claim(number: RawFd) -> bool {
    let Ok(lane) = sys::inherit(number, Kind::Packets) else { return false };
    *CLAIMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(lane);
    true
}

/// Takes the lane that was claimed.
pub fn claimed() -> Option<OwnedFd> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Why the old primary's place can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The end of the lane.
    #[error("the old primary has ended before it had offered everything")]
    Ended,
    /// Too slow.
    #[error("the old primary has not offered everything within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It says so.
    #[error("the old primary refuses: {0}")]
    Refused(String),
    /// Not a message.
    #[error("invalid data from the old primary: {0}")]
    Malformed(#[from] ControlError),
    /// A message that does not belong there. The text completes the sentence.
    #[error("the old primary broke the protocol: it has sent {0}")]
    Unexpected(String),
    /// A system call has failed, as for want of descriptors.
    #[error(transparent)]
    System(#[from] Fault),
}

fn unexpected(what: impl Into<String>) -> TakeoverError {
    TakeoverError::Unexpected(what.into())
}

/// Which primary was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its process.
    pub pid: u32,
    /// The version of its package.
    pub version: String,
    /// Its version of Node.
    pub node: String,
    /// The generation of its workers.
    pub generation: u32,
}

/// A socket on which operators ask, of the old primary.
#[derive(Debug)]
pub struct OfferedOperator {
    /// Which one.
    pub kind: OperatorKind,
    /// A path, or `address:port`.
    pub address: String,
    /// The listening socket.
    pub socket: OwnedFd,
}

/// What the engine's thread gets of an offer, apart from sockets.
#[derive(Debug)]
pub(in crate::primary) struct Takeover {
    /// Where the rest is said.
    pub(in crate::primary) lane: OwnedFd,
    /// Who offers it.
    pub(in crate::primary) predecessor: Predecessor,
    /// The addresses, by their numbers there.
    pub(in crate::primary) addresses: HashMap<ListenerId, Address>,
    /// The keys of TLS session tickets, the current one first.
    pub(in crate::primary) ticket_keys: Vec<TicketKey>,
    /// What has been counted.
    pub(in crate::primary) counted: Vec<Counted>,
    /// A lane to the process that stays the parent of all primaries, if there is one.
    pub(in crate::primary) parent: Option<OwnedFd>,
}

/// An address that the old primary has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::primary) struct Address {
    /// What workers have asked for.
    pub(in crate::primary) query: Query,
    /// Where that is bound.
    pub(in crate::primary) bound: Option<BoundAddress>,
    /// Whether none of its supervised workers serves it.
    pub(in crate::primary) is_unserved: bool,
}

/// All that the old primary offers.
#[derive(Debug)]
pub struct Offer {
    /// Where the rest is said.
    pub lane: OwnedFd,
    /// Who offers it.
    pub predecessor: Predecessor,
    /// Addresses, with their sockets.
    pub listeners: Vec<(Listener, Vec<OwnedFd>)>,
    /// Where operators ask.
    pub operators: Vec<OfferedOperator>,
    /// The keys of TLS session tickets, the current one first.
    pub ticket_keys: Vec<TicketKey>,
    /// What has been counted.
    pub counted: Vec<Counted>,
    /// A lane to the process that stays the parent of all primaries, if there is one.
    pub parent: Option<OwnedFd>,
}

/// Says hello, and receives what the old primary offers. `version` is that of this package, `node` that of Node. The old
/// primary is told of an error.
///
/// # Errors
/// When the old primary offers nothing, not everything, or something else.
pub fn receive_offer(
    lane: OwnedFd,
    version: &str,
    node: &str,
    within: Duration,
) -> Result<Offer, TakeoverError> {
    let mut handshake = Handshake { lane, deadline: Instant::now() + within, within, received: 0 };
    match handshake.run(version, node) {
        Ok(Offering {
            predecessor, listeners, operators, ticket_keys, counted, parent, ..
        }) => {
            let lane = handshake.lane;
            Ok(Offer { lane, predecessor, listeners, operators, ticket_keys, counted, parent })
        }
        Err(error) => {
            if !matches!(error, TakeoverError::Ended | TakeoverError::Refused(_)) {
                send_failed(&handshake.lane, &error.to_string());
            }
            Err(error)
        }
    }
}

/// Tells the old primary that this one gives up, and why, if that is possible at once.
pub fn send_failed(lane: &OwnedFd, reason: &str) {
    let reason = shortened(reason, MAX_REASON).to_owned();
    // It is about to learn of the end of this process anyway.
    if let Ok(packet) = encode(&ToPredecessor::Failed { reason }) {
        let _ = lane::send_packet(lane, &packet, None);
    }
}

/// The beginning of a text, of so many bytes at most.
fn shortened(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

struct Handshake {
    lane: OwnedFd,
    deadline: Instant,
    within: Duration,
    /// How many bytes of messages have come.
    received: usize,
}

impl Handshake {
    fn run(&mut self, version: &str, node: &str) -> Result<Offering, TakeoverError> {
        self.send(&ToPredecessor::Hello {
            oldest: OLDEST,
            newest: NEWEST,
            version: version.to_owned(),
            node: node.to_owned(),
        })?;
        let predecessor = match self.receive()? {
            (ToSuccessor::Welcome { protocol, version, node, pid, generation }, None) => {
                if !(OLDEST..=NEWEST).contains(&protocol) {
                    return Err(unexpected(format!("the protocol's version {protocol}")));
                }
                Predecessor { pid, version, node, generation }
            }
            (ToSuccessor::Refused { reason }, _) => return Err(TakeoverError::Refused(reason)),
            (other, _) => return Err(unexpected(format!("{} before a welcome", name_of(&other)))),
        };
        let mut offering = Offering::new(predecessor);
        loop {
            let (message, descriptor) = self.receive()?;
            if offering.add(message, descriptor)? {
                return Ok(offering);
            }
        }
    }

    fn send(&self, message: &ToPredecessor) -> Result<(), TakeoverError> {
        let packet = encode(message)?;
        loop {
            match lane::send_packet(&self.lane, &packet, None) {
                Ok(()) => return Ok(()),
                Err(Failure::WouldBlock) => {
                    lane::wait_writable(&self.lane, self.time_left()?);
                }
                Err(failure) => self.recover(failure)?,
            }
        }
    }

    /// The next message, with its descriptor.
    fn receive(&mut self) -> Result<(ToSuccessor, Option<OwnedFd>), TakeoverError> {
        loop {
            match lane::receive_packet_with_descriptor(&self.lane, MAX_PACKET) {
                Ok(packet) if packet.is_end => return Err(TakeoverError::Ended),
                Ok(packet) => {
                    self.received += packet.length;
                    if self.received > MOST_BYTES {
                        return Err(unexpected(format!("more than {MOST_BYTES} bytes")));
                    }
                    return Ok((decode(&packet.bytes, packet.length)?, packet.descriptor));
                }
                Err(Failure::WouldBlock) => {
                    lane::wait_readable_within(&self.lane, self.time_left()?);
                }
                Err(failure) => self.recover(failure)?,
            }
        }
    }

    /// # Errors
    /// When there is none.
    fn time_left(&self) -> Result<Duration, TakeoverError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(TakeoverError::TimedOut(self.within)) } else { Ok(left) }
    }

    /// A shortage of memory may end soon; a descriptor does not get free while the program waits here.
    fn recover(&self, failure: Failure) -> Result<(), TakeoverError> {
        match failure {
            Failure::Shortage(fault) if fault.errno == libc::EMFILE => Err(fault.into()),
            Failure::Shortage(_) => {
                std::thread::sleep(SHORTAGE_PAUSE.min(self.time_left()?));
                Ok(())
            }
            Failure::WouldBlock => Ok(()),
            Failure::Gone => Err(TakeoverError::Ended),
            Failure::Fault(fault) => Err(fault.into()),
        }
    }
}

/// What has been offered so far.
struct Offering {
    predecessor: Predecessor,
    listeners: Vec<(Listener, Vec<OwnedFd>)>,
    /// Where each is in `listeners`.
    places: HashMap<ListenerId, usize>,
    operators: Vec<OfferedOperator>,
    ticket_keys: Vec<TicketKey>,
    counted: Vec<Counted>,
    parent: Option<OwnedFd>,
}

/// What a message is, for people.
pub fn name_of(message: &ToSuccessor) -> &'static str {
    match message {
        ToSuccessor::Welcome { .. } => "a welcome",
        ToSuccessor::Refused { .. } => "a refusal",
        ToSuccessor::Listener(_) => "a listener",
        ToSuccessor::Socket { .. } => "a listening socket",
        ToSuccessor::Operator { .. } => "an operator's socket",
        ToSuccessor::TicketKeys { .. } => "ticket keys",
        ToSuccessor::Counted(_) => "counts",
        ToSuccessor::Parent => "a parent's lane",
        ToSuccessor::Offered => "the end of the offer",
        ToSuccessor::Commit => "a commit",
        ToSuccessor::Main => "the leave to speak for the service",
        ToSuccessor::Connection { .. } => "a connection",
        ToSuccessor::Parked { .. } => "an idle connection",
        ToSuccessor::Done => "the end",
    }
}

#[cfg(test)]
mod tests;

//! The worker's side: the ends of the lanes that its primary gave it.
//!
//! No thread serves them: Node's own event loop says when they are ready. Only what must work while
//! JavaScript is stuck has one, the [`Watchdog`].

mod watchdog;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

pub use watchdog::Watchdog;

use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId,
        connection::{self, PACKET},
        control::{self, MAX_PACKET, Order, Reply, Request},
    },
    sys::lane,
};

/// The worker's end of the control lane.
pub struct Control {
    socket: OwnedFd,
    /// Requests that the lane had no room for.
    outgoing: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Control {
    /// `socket` is one end of a [`lane::packet_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, outgoing: VecDeque::new() }
    }

    /// The descriptor's number, to poll it.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether nothing waits for room.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends a request behind those already waiting.
    ///
    /// # Errors
    /// When the request is too long. That the primary is gone shows itself on the message lane.
    pub fn send(&mut self, request: &Request, descriptor: Option<OwnedFd>) -> Result<()> {
        self.outgoing.push_back((control::encode(request)?, descriptor));
        self.flush();
        Ok(())
    }

    /// Sends what waits, until the lane is full.
    pub fn flush(&mut self) {
        while let Some((packet, descriptor)) = self.outgoing.front() {
            let descriptor = descriptor.as_ref().map(OwnedFd::as_fd);
            match lane::send_packet(&self.socket, packet, descriptor) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Sent; or the primary is gone, and nobody waits for an answer any more.
                _ => drop(self.outgoing.pop_front()),
            }
        }
    }

    /// The next order that has come in.
    ///
    /// # Errors
    /// When the primary sent something else.
    pub fn receive(&self) -> Result<Received> {
        let packet = match lane::receive_whole_packet(&self.socket, MAX_PACKET) {
            Ok(packet) if packet.length > 0 => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Empty),
            _ => return Ok(Received::Ended),
        };
        match control::decode(&packet.bytes, packet.length)? {
            Order::Reply(reply) => Ok(Received::Reply(reply, packet.descriptor)),
            Order::Probe => Ok(Received::Probe),
            Order::Pause => Ok(Received::Pause),
            Order::Resume => Ok(Received::Resume),
        }
    }
}

/// What [`Control::receive`] found.
#[derive(Debug)]
pub enum Received {
    /// A reply, with a socket if it says so.
    Reply(Reply, Option<OwnedFd>),
    /// The engine asks whether this event loop turns: it does.
    Probe,
    /// Sockets of the worker's own are to rest.
    Pause,
    /// They may be accepted from again.
    Resume,
    /// Nothing yet.
    Empty,
    /// Nothing any more: the primary is gone.
    Ended,
}

/// The worker's end of the connection lane.
pub struct Connections {
    socket: OwnedFd,
}

/// What [`Connections::take`] found.
#[derive(Debug)]
pub enum Taken {
    /// A connection: this worker's alone from now on.
    Connection(ListenerId, OwnedFd),
    /// One that was lost because this process has no descriptors left; its client sees it closed.
    Lost,
    /// Nothing yet.
    Empty,
    /// Nothing any more: the primary is gone.
    Ended,
}

impl Connections {
    /// `socket` is the receiving end of a [`lane::packet_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The descriptor's number, to poll it.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes the next connection. Until then the primary can give it to somebody else.
    ///
    /// # Errors
    /// When the primary sent something that is no connection.
    pub fn take(&self) -> Result<Taken> {
        let mut buffer = [0; PACKET];
        let packet = match lane::receive(&self.socket, &mut buffer) {
            Ok(packet) if packet.length > 0 => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Taken::Empty),
            _ => return Ok(Taken::Ended),
        };
        match (connection::decode(&buffer[..packet.length]), packet.descriptor) {
            (Some(listener), Some(accepted)) => Ok(Taken::Connection(listener, accepted)),
            (Some(_), None) if packet.truncated => Ok(Taken::Lost),
            _ => Err(Error::Connection),
        }
    }
}

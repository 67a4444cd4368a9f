//! Sending on a lane, and receiving from one: the parts that are the same on every system.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::sys::socket::Shutdown;

use super::{
    call::{Call, Lane},
    failure::{Failure, attempt, attempt_to_receive},
    message,
    platform::{
        message::{RECEIVE, SEND, SPACE, as_full, has_lost_descriptor},
        transit::keep_until_received,
    },
};

/// Shuts down both directions, for every holder of the socket. The peer still reads what was sent.
///
/// # Errors
/// [`Failure::Shortage`] or [`Failure::Fault`]. A peer that is already gone is not an error.
pub fn shutdown(socket: impl AsFd, lane: Lane) -> Result<(), Failure> {
    let socket = socket.as_fd().as_raw_fd();
    match attempt(Call::Shutdown(lane), || nix::sys::socket::shutdown(socket, Shutdown::Both)) {
        Err(Failure::Gone) => Ok(()),
        result => result,
    }
}

/// Like [`send_slices`], for lanes whose waiting packets are not counted: keeps the descriptor open
/// until it is received.
pub(super) fn send_kept(
    socket: BorrowedFd<'_>,
    lane: Lane,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Failure> {
    let sent = send_slices(socket, lane, slices, descriptor)?;
    keep_until_received(socket, descriptor);
    Ok(sent)
}

pub(super) fn send_slices(
    socket: BorrowedFd<'_>,
    lane: Lane,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Failure> {
    let sendmsg = || message::send(socket, slices, descriptor, SEND);
    attempt(Call::Send(lane), || sendmsg().map_err(as_full))
}

/// The result of one receiving call: bytes of a stream, or one packet.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer it filled; 0 means that the lane has ended.
    pub length: usize,
    /// The descriptor that came with the last bytes of a stream, or with the packet.
    pub descriptor: Option<OwnedFd>,
    /// Whether a packet was longer than the buffer, or descriptors were lost, because too many were
    /// sent or this process has none left.
    pub truncated: bool,
}

pub(super) fn receive_slices(
    socket: BorrowedFd<'_>,
    lane: Lane,
    slices: &mut [IoSliceMut<'_>],
) -> Result<Received, Failure> {
    let mut receive = || message::receive::<SPACE>(socket, slices, RECEIVE);
    let mut lost = false;
    let received = attempt_to_receive(lane, || match receive() {
        Err(errno) if has_lost_descriptor(errno) => {
            lost = true;
            receive()
        }
        received => received,
    })?;
    Ok(Received {
        length: received.length,
        descriptor: received.descriptor,
        truncated: received.truncated || lost,
    })
}

/// One packet of any length.
#[derive(Debug)]
pub struct WholePacket {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The length of the packet, which may exceed that of `bytes`.
    pub length: usize,
    /// The descriptor that came with it.
    pub descriptor: Option<OwnedFd>,
    /// Whether this is the end of the lane instead of a packet.
    pub is_end: bool,
}

//! The Unix socket pairs that lanes are made of.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, SockType, getsockopt, sockopt},
};

use super::{
    call::Call,
    descriptor::set_nonblocking,
    failure::{Failure, SHORTAGE_PAUSE},
    platform::{lane as platform, socket::family},
    reserve::has_free_descriptor,
    transfer::{receive_slices, send_kept, send_slices},
};
pub use super::{
    call::Lane,
    platform::{lane::WINDOW, transit::Transit},
    transfer::{Received, WholePacket, shutdown},
};

/// What a lane is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A byte stream.
    Stream,
    /// Packets.
    Packets,
}

/// Checks that a socket is an end of such a lane.
///
/// # Errors
/// `ENOTSOCK`, or `EPROTOTYPE` for another kind of socket.
pub fn check(socket: OwnedFd, kind: Kind) -> io::Result<()> {
    let wanted = match kind {
        Kind::Stream => SockType::Stream,
        Kind::Packets => platform::PACKETS,
    };
    let is_unix = family(socket.as_fd())? == Some(AddressFamily::Unix);
    if is_unix && getsockopt(&socket, sockopt::SockType)? == wanted {
        Ok(())
    } else {
        Err(Errno::EPROTOTYPE.into())
    }
}

/// A byte stream: the IPC channel. Neither end blocks.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    platform::stream_pair()
}

/// Packets that keep their borders and their order, and an end that is seen: the control and the
/// hand-off queue. Neither end blocks.
///
/// # Errors
/// As [`stream_pair`].
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    platform::packet_pair()
}

/// A child's standard stream, as libuv makes it: our end does not block, the child's does.
///
/// # Errors
/// As [`stream_pair`].
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = platform::pipe()?;
    make_blocking(&theirs)?;
    Ok((ours, theirs))
}

/// Has reads and writes wait, for every holder of the open file.
///
/// # Errors
/// When the descriptor is of a kind that can't block.
pub fn make_blocking(fd: impl AsFd) -> io::Result<()> {
    Ok(set_nonblocking(fd, false)?)
}

/// Makes the send buffer small: `bytes` as the kernel accounts them. See [`WINDOW`].
///
/// # Errors
/// When `socket` is none.
pub fn limit_send_buffer(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    platform::limit_send_buffer(socket.as_fd(), bytes)
}

/// Bytes that wait to be read from `socket`; of all packets, where it carries packets.
///
/// # Errors
/// When `socket` is none.
pub fn unread(socket: impl AsFd) -> io::Result<u64> {
    platform::unread(socket.as_fd())
}

/// Sends slices by an IPC channel, and says how many bytes went. A descriptor goes with the first of
/// them.
///
/// # Errors
/// [`Failure::WouldBlock`] when the buffer is full, [`Failure::Shortage`] above all when too many
/// descriptors of this user are on their way.
pub fn send(
    socket: impl AsFd,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Failure> {
    send_kept(socket.as_fd(), Lane::Ipc, slices, descriptor)
}

/// Waits until the socket can be written to, or its peer is gone; false when `within` has passed.
pub fn wait_writable(socket: impl AsFd, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut polled, whole_milliseconds(left)) {
            Ok(count) => return count > 0,
            Err(_) if left.is_zero() => return false,
            Err(Errno::EINTR) => {}
            // The kernel has no memory for it now.
            Err(_) => thread::sleep(SHORTAGE_PAUSE.min(left)),
        }
    }
}

/// A time to wait, of which `poll` takes no parts of a millisecond.
fn whole_milliseconds(time: Duration) -> PollTimeout {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|it| it.try_into().ok()).unwrap_or(PollTimeout::MAX)
}

/// Waits until the other end of a lane is closed, whatever comes from there meanwhile.
pub fn wait_for_end(lane: &OwnedFd) {
    platform::wait_for_end(lane);
}

/// Sends one packet by a control socket, with at most one descriptor. [`receive_whole_packet`] takes it.
///
/// # Errors
/// As [`send`]; `EMSGSIZE`, a fault, when the packet exceeds the send buffer.
pub fn send_packet(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    platform::send_packet(socket.as_fd(), bytes, descriptor)
}

/// As [`send_packet`], by a hand-off queue, whose packets are all as long as this one, a few bytes.
/// [`receive_fixed_packet`] takes it, so several may receive from one lane. A descriptor has to be kept in a [`Transit`] until
/// somebody has it.
///
/// # Errors
/// As [`send`].
pub fn send_fixed_packet(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    send_slices(socket.as_fd(), Lane::HandOff, &[IoSlice::new(bytes)], descriptor)?;
    Ok(())
}

/// Receives bytes of an IPC channel, up to the end of those that a descriptor came with, of which there
/// is at most one.
///
/// # Errors
/// [`Failure::WouldBlock`] when nothing is there yet. A peer that is gone is the end of the lane, once all that
/// it had sent is received: [`Failure::Gone`] is for a kernel that gives neither.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    receive_slices(socket.as_fd(), Lane::Ipc, &mut [IoSliceMut::new(buffer)])
}

/// Receives one packet of a hand-off queue, into a buffer of its length.
///
/// # Errors
/// As [`receive`].
pub fn receive_fixed_packet(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    receive_slices(socket.as_fd(), Lane::HandOff, &mut [IoSliceMut::new(buffer)])
}

/// As [`receive_fixed_packet`], from an end that another process, which is not trusted, has as well. Whatever options
/// it sets on the socket, this neither waits nor loses the descriptor of a packet.
///
/// # Errors
/// As [`receive`].
pub fn receive_shared(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    platform::receive_shared(socket.as_fd(), buffer)
}

/// Receives one packet of a control socket, of which it keeps at most `limit` bytes. There must be no other
/// receiver. A descriptor that this process has no number for is lost.
///
/// # Errors
/// As [`receive`].
pub fn receive_whole_packet(socket: impl AsFd, limit: usize) -> Result<WholePacket, Failure> {
    platform::receive_whole_packet(socket.as_fd(), limit, |_| Ok(()))
}

/// As [`receive_whole_packet`], but leaves a packet where it is as long as there is no number for its
/// descriptor.
///
/// # Errors
/// As [`receive`], and then [`Failure::Shortage`].
pub fn receive_packet_with_descriptor(
    socket: impl AsFd,
    limit: usize,
) -> Result<WholePacket, Failure> {
    platform::receive_whole_packet(socket.as_fd(), limit, |has_descriptor| {
        if has_descriptor && !has_free_descriptor(&socket) {
            return Err(Failure::of(Call::Receive(Lane::Control), libc::EMFILE));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;

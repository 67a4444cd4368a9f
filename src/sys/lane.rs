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

/// The kind of socket that a lane uses.
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

/// Packets that keep their boundaries and their order, with an end that the peer sees: the control
/// socket, or the hand-off queue. Neither end blocks.
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

/// Makes reads and writes block, for every holder of the open file.
///
/// # Errors
/// When the descriptor is of a kind that can't block.
pub fn make_blocking(fd: impl AsFd) -> io::Result<()> {
    Ok(set_nonblocking(fd, false)?)
}

/// Limits the send buffer to `bytes`, as the kernel counts them. See [`WINDOW`].
///
/// # Errors
/// `ENOTSOCK`, `EBADF`.
pub fn limit_send_buffer(socket: impl AsFd, bytes: usize) -> io::Result<()> {
    platform::limit_send_buffer(socket.as_fd(), bytes)
}

/// How many bytes wait to be read from `socket`, in all packets if it carries packets.
///
/// # Errors
/// `ENOTSOCK`, `EBADF`.
pub fn unread(socket: impl AsFd) -> io::Result<u64> {
    platform::unread(socket.as_fd())
}

/// Sends slices on an IPC channel, and returns how many bytes were sent. A descriptor goes with the
/// first of them.
///
/// # Errors
/// [`Failure::WouldBlock`] when the buffer is full; [`Failure::Shortage`], usually because too many
/// descriptors of this user are in flight.
pub fn send(
    socket: impl AsFd,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Failure> {
    send_kept(socket.as_fd(), Lane::Ipc, slices, descriptor)
}

/// Blocks until the socket can be written to, or its peer is gone. Returns false after `within`.
pub fn wait_writable(socket: impl AsFd, within: Duration) -> bool {
    wait_within(socket, PollFlags::POLLOUT, within)
}

fn wait_within(socket: impl AsFd, flags: PollFlags, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(socket.as_fd(), flags)];
        match poll(&mut polled, whole_milliseconds(left)) {
            Ok(count) => return count > 0,
            Err(_) if left.is_zero() => return false,
            Err(Errno::EINTR) => {}
            // The kernel has no memory for it now.
            Err(_) => thread::sleep(SHORTAGE_PAUSE.min(left)),
        }
    }
}

/// Rounds a time up to milliseconds, as `poll` takes it.
fn whole_milliseconds(time: Duration) -> PollTimeout {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|it| it.try_into().ok()).unwrap_or(PollTimeout::MAX)
}

/// Blocks until the other end of a lane is closed, whatever it sends meanwhile.
pub fn wait_for_end(lane: &OwnedFd) {
    platform::wait_for_end(lane);
}

/// Blocks until there is something to read from a lane, or its end.
pub fn wait_readable(lane: &OwnedFd) {
    loop {
        match poll(&mut [PollFd::new(lane.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) => return,
            Err(Errno::EINTR) => {}
            // The kernel has no memory for it now.
            Err(_) => thread::sleep(SHORTAGE_PAUSE),
        }
    }
}

/// Blocks until there is something to read from a lane, or its end. Returns false after `within`.
pub fn wait_readable_within(lane: &OwnedFd, within: Duration) -> bool {
    wait_within(lane, PollFlags::POLLIN, within)
}

/// Sends one packet on a control socket, with at most one descriptor, for [`receive_whole_packet`].
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

/// Sends one packet on a hand-off queue, whose packets all have the same length, a few bytes, for
/// [`receive_fixed_packet`]; several processes may receive from one queue. The caller keeps the
/// descriptor in a [`Transit`] until a process has received it.
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

/// Receives bytes from an IPC channel, up to the end of those that came with a descriptor. At most one
/// descriptor is returned.
///
/// # Errors
/// [`Failure::WouldBlock`] when there is nothing yet. If the peer is gone, the lane ends (a length of
/// 0) once all that it had sent is received; [`Failure::Gone`] only if the kernel delivers neither.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    receive_slices(socket.as_fd(), Lane::Ipc, &mut [IoSliceMut::new(buffer)])
}

/// Receives one packet from a hand-off queue, into a buffer of its length.
///
/// # Errors
/// As [`receive`].
pub fn receive_fixed_packet(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    receive_slices(socket.as_fd(), Lane::HandOff, &mut [IoSliceMut::new(buffer)])
}

/// Like [`receive_fixed_packet`], from an end that an untrusted process has too. Whatever options that
/// process sets on the socket, this neither blocks nor loses the descriptor of a packet.
///
/// # Errors
/// As [`receive`].
pub fn receive_shared(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, Failure> {
    platform::receive_shared(socket.as_fd(), buffer)
}

/// Receives one packet from a control socket, and keeps at most `limit` bytes of it. There must be no
/// other receiver. The descriptor is lost if this process has no number for it.
///
/// # Errors
/// As [`receive`].
pub fn receive_whole_packet(socket: impl AsFd, limit: usize) -> Result<WholePacket, Failure> {
    platform::receive_whole_packet(socket.as_fd(), limit, |_| Ok(()))
}

/// Like [`receive_whole_packet`], but leaves the packet in the socket while this process has no number
/// for its descriptor.
///
/// # Errors
/// As [`receive`]; [`Failure::Shortage`] when the packet was left.
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

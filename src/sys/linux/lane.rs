use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socketpair, sockopt,
    },
};

use super::message::RECEIVE;
use crate::sys::{
    call::Lane,
    descriptor::readable_bytes,
    failure::{Failure, attempt_to_receive},
    message,
    transfer::{Received, WholePacket, receive_slices, send_kept},
};

/// Sockets that keep the boundaries of packets, and report the end.
pub(in crate::sys) const PACKETS: SockType = SockType::SeqPacket;

/// The send buffer, in bytes, that holds about a dozen packets with a descriptor. The kernel doubles
/// this value.
pub const WINDOW: usize = 5000;

pub(in crate::sys) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::Stream)
}

pub(in crate::sys) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(PACKETS)
}

/// Our end first, then the child's. The child may be any program.
pub(in crate::sys) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    stream_pair()
}

fn pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socketpair(AddressFamily::Unix, kind, None, flags)?)
}

pub(in crate::sys) fn limit_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SndBuf, &bytes)?)
}

pub(in crate::sys) fn unread(socket: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(readable_bytes(socket)?)
}

pub(in crate::sys) fn send_packet(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    send_kept(socket, Lane::Control, &[IoSlice::new(bytes)], descriptor)?;
    Ok(())
}

pub(in crate::sys) fn receive_whole_packet(
    socket: BorrowedFd<'_>,
    limit: usize,
    check: impl FnOnce(bool) -> Result<(), Failure>,
) -> Result<WholePacket, Failure> {
    let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
    let (length, flags) = attempt_to_receive(Lane::Control, || {
        // QEMU's user mode would not make a call without a slice.
        let slices = &mut [IoSliceMut::new(&mut [])];
        let peeked = recvmsg::<()>(socket.as_raw_fd(), slices, None, peek)?;
        Ok((peeked.bytes, peeked.flags))
    })?;
    check(flags.contains(MsgFlags::MSG_CTRUNC))?;
    if length == 0 && has_ended(socket) {
        return Ok(WholePacket { bytes: Vec::new(), length, descriptor: None, is_end: true });
    }
    let mut bytes = vec![0; length.min(limit)];
    let packet = receive_slices(socket, Lane::Control, &mut [IoSliceMut::new(&mut bytes)])?;
    Ok(WholePacket { bytes, length, descriptor: packet.descriptor, is_end: false })
}

/// Whether the peer has closed its end. Without this check, an empty packet looks like the end.
fn has_ended(socket: BorrowedFd<'_>) -> bool {
    // A flag that `nix` does not name.
    let flag = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut polled = [PollFd::new(socket, flag)];
    // If the kernel has no memory for the poll, assume the end.
    poll(&mut polled, PollTimeout::ZERO) != Ok(0)
}

/// Room for what the kernel may add to a packet because another holder of the socket asked for it:
/// credentials, times, a security label.
const SHARED_SPACE: usize = 2048;

/// Like [`receive_slices`], for a socket whose options another process may set.
pub(in crate::sys) fn receive_shared(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<Received, Failure> {
    let slices = &mut [IoSliceMut::new(buffer)];
    let received = attempt_to_receive(Lane::HandOff, || {
        message::receive::<SHARED_SPACE>(socket, slices, RECEIVE)
    })?;
    let message::Message { length, descriptor, truncated } = received;
    Ok(Received { length, descriptor, truncated })
}

/// How long to wait after an error: the kernel is out of memory.
const POLL_PAUSE: Duration = Duration::from_millis(100);

/// No event is requested, because the kernel always reports a hang-up, once both directions are closed.
pub(in crate::sys) fn wait_for_end(lane: &OwnedFd) {
    loop {
        let mut polled = [PollFd::new(lane.as_fd(), PollFlags::empty())];
        let found = poll(&mut polled, PollTimeout::NONE);
        let is_end = polled[0].revents().is_some_and(|it| it.contains(PollFlags::POLLHUP));
        match found {
            Ok(_) if is_end => return,
            Err(Errno::EINTR) => {}
            _ => thread::sleep(POLL_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::lane;

    #[test]
    fn a_packet_that_does_not_fit_says_so() {
        let (ours, theirs) = packet_pair().unwrap();
        lane::send_packet(&ours, b"too long", None).unwrap();
        assert!(lane::receive_fixed_packet(&theirs, &mut [0; 4]).unwrap().truncated);
    }
}

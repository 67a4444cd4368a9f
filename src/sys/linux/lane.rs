use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, socketpair, sockopt,
    },
};

use crate::sys::{
    failure::{Call, Failure, attempt},
    lane::{Lane, WholePacket, receive_slices, transmit_escorted},
};

/// What packets go by: sockets that keep their borders, and tell of the end.
pub(in crate::sys) const PACKETS: SocketType = SocketType::SEQPACKET;

/// The send buffer, in bytes, that holds about a dozen packets with a descriptor. The kernel doubles
/// what it is told.
pub const WINDOW: usize = 5000;

/// Nobody is to be killed for writing to a process that is gone.
pub(in crate::sys) const SEND: SendFlags = SendFlags::NOSIGNAL;

/// Descriptors are close-on-exec from birth.
pub(in crate::sys) const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// Descriptors that a receiver has room for; the kernel closes further ones.
pub(in crate::sys) const DESCRIPTORS: usize = 1;

pub(in crate::sys) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM)
}

pub(in crate::sys) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(PACKETS)
}

/// Ours first, then that of a child, which may be no program of ours.
pub(in crate::sys) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    stream_pair()
}

fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

pub(in crate::sys) fn limit_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(sockopt::set_socket_send_buffer_size(socket, bytes)?)
}

pub(in crate::sys) fn unread(socket: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(socket)?)
}

pub(in crate::sys) fn send_packet(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    transmit_escorted(socket, Lane::Control, &[IoSlice::new(bytes)], descriptor)?;
    Ok(())
}

pub(in crate::sys) fn receive_whole_packet(
    socket: BorrowedFd<'_>,
    limit: usize,
) -> Result<WholePacket, Failure> {
    let peek = RecvFlags::PEEK | RecvFlags::TRUNC;
    let receive = Call::Receive(Lane::Control);
    let (_, length) = attempt(receive, || recv(socket, &mut [0u8; 0][..], peek))?;
    let mut bytes = vec![0; length.min(limit)];
    let packet = receive_slices(socket, Lane::Control, &mut [IoSliceMut::new(&mut bytes)])?;
    Ok(WholePacket { bytes, length, descriptor: packet.descriptor })
}

/// The kernel has told all in its error.
pub(in crate::sys) fn as_full(errno: Errno) -> Errno {
    errno
}

/// What was lost, the kernel tells by a flag.
pub(in crate::sys) fn has_lost_descriptor(_: Errno) -> bool {
    false
}

/// Is close-on-exec already.
pub(in crate::sys) fn arrived(descriptor: OwnedFd) -> Option<OwnedFd> {
    Some(descriptor)
}

/// How long to wait after an error of the system, which has too little memory then.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// No event is asked for: a hang-up is told always, and only once both directions are closed.
pub(in crate::sys) fn wait_for_end(lane: &OwnedFd) {
    loop {
        let mut polled = [PollFd::new(lane, PollFlags::empty())];
        match poll(&mut polled, None) {
            Ok(_) if polled[0].revents().contains(PollFlags::HUP) => return,
            Err(Errno::INTR) => {}
            _ => thread::sleep(SHORTAGE_PAUSE),
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

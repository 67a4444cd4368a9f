use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::{MaybeUninit, size_of},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketFlags,
        SocketType, recvmsg, socketpair, sockopt,
    },
};

use crate::sys::{
    failure::{Failure, attempt_to_receive},
    lane::{Lane, Received, WholePacket, receive_slices, transmit_escorted},
};

/// What packets go by: sockets that keep their borders, and tell of the end.
pub(in crate::sys) const PACKETS: SocketType = SocketType::SEQPACKET;

/// The send buffer, in bytes, that holds about a dozen packets with a descriptor. The kernel doubles
/// what it is told.
pub const WINDOW: usize = 5000;

/// No signal for writing to a process that is gone. No call waits, whatever flags a peer that shares
/// the open file has set on it.
pub(in crate::sys) const SEND: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// Descriptors are close-on-exec from birth. No call waits, as with [`SEND`].
pub(in crate::sys) const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC.union(RecvFlags::DONTWAIT);

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
    check: impl FnOnce(bool) -> Result<(), Failure>,
) -> Result<WholePacket, Failure> {
    let peek = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    let mut nothing = RecvAncillaryBuffer::default();
    let mut peek = || recvmsg(socket, &mut [], &mut nothing, peek);
    let peeked = attempt_to_receive(Lane::Control, &mut peek)?;
    check(peeked.flags.contains(ReturnFlags::CTRUNC))?;
    let length = peeked.bytes;
    if length == 0 && has_ended(socket) {
        return Ok(WholePacket { bytes: Vec::new(), length, descriptor: None, is_end: true });
    }
    let mut bytes = vec![0; length.min(limit)];
    let packet = receive_slices(socket, Lane::Control, &mut [IoSliceMut::new(&mut bytes)])?;
    Ok(WholePacket { bytes, length, descriptor: packet.descriptor, is_end: false })
}

/// Whether nothing more comes than what is there. An empty packet looks like the end otherwise.
fn has_ended(socket: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(&socket, PollFlags::RDHUP)];
    // Without memory for it, the end is what it looks like.
    poll(&mut polled, Some(&Timespec::default())) != Ok(0)
}

/// What the kernel may add to a packet because another holder of the socket asked for it: credentials,
/// times, a security label.
#[repr(C, align(8))]
struct Ancillary([MaybeUninit<u8>; 2048]);

/// The kind of control message that carries a descriptor of the sender's process (`SO_PASSPIDFD`).
const SCM_PIDFD: libc::c_int = 4;

/// As [`receive_slices`], for a socket whose options another process may set: it takes a descriptor from
/// wherever it stands among what was added, and closes those that the packet does not carry.
pub(in crate::sys) fn receive_shared(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<Received, Failure> {
    let mut space = Ancillary([MaybeUninit::uninit(); 2048]);
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: numbers and pointers, for which zeros do.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = space.0.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Ancillary>() as _;
    let flags = RECEIVE.bits().cast_signed();
    let length = attempt_to_receive(Lane::Connection, || {
        // SAFETY: the header names a buffer and a space that live, with their lengths.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        usize::try_from(length).map_err(|_| {
            let error = io::Error::last_os_error();
            Errno::from_io_error(&error).unwrap_or(Errno::IO)
        })
    })?;
    let mut descriptors = descriptors_in(&header);
    let truncated = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    let truncated = truncated || descriptors.len() > 1;
    Ok(Received { length, descriptor: descriptors.pop(), truncated })
}

/// The descriptors that a packet carries. Those that the kernel has made in addition are closed.
fn descriptors_in(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled in the space, and how much of it. The same holds for each step on.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so there is one, which the kernel has written.
        let message = unsafe { next.read_unaligned() };
        // SAFETY: as above.
        let mut data = unsafe { libc::CMSG_DATA(next) }.cast::<RawFd>();
        // SAFETY: computes a number only.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let count = (message.cmsg_len as usize).saturating_sub(before) / size_of::<RawFd>();
        let is_carried = message.cmsg_type == libc::SCM_RIGHTS;
        let has_descriptors = is_carried || message.cmsg_type == SCM_PIDFD;
        if message.cmsg_level == libc::SOL_SOCKET && has_descriptors {
            for _ in 0..count {
                // SAFETY: inside the message, whose length the kernel has given.
                let number = unsafe { data.read_unaligned() };
                // SAFETY: as above; at most just behind its end.
                data = unsafe { data.add(1) };
                // Instead of a process that has ended there may be an error.
                if number >= 0 {
                    // SAFETY: the kernel has just made this descriptor for us.
                    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
                    descriptors.extend(Some(descriptor).filter(|_| is_carried));
                }
            }
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    descriptors
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
const POLL_PAUSE: Duration = Duration::from_millis(100);

/// No event is asked for: a hang-up is told always, and only once both directions are closed.
pub(in crate::sys) fn wait_for_end(lane: &OwnedFd) {
    loop {
        let mut polled = [PollFd::new(lane, PollFlags::empty())];
        match poll(&mut polled, None) {
            Ok(_) if polled[0].revents().contains(PollFlags::HUP) => return,
            Err(Errno::INTR) => {}
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

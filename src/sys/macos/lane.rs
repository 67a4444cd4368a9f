//! There are no sockets here that keep the borders of packets and tell of the end, nor does a datagram
//! socket say when there is room (`uipc_send`). So packets go by streams. Those of a connection lane
//! are all of one length; others have theirs in front of them, and are written whole or not at all.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, socketpair, sockopt,
    },
};

use super::{queue::Queue, socket::disown};
use crate::{
    protocol::control::MAX_PACKET,
    sys::{
        failure::{Call, Failure, attempt_to_receive},
        lane::{self, Lane, Received, WholePacket, receive_slices, transmit_escorted},
    },
};

/// What packets go by.
pub(in crate::sys) const PACKETS: SocketType = SocketType::STREAM;

/// The send buffer, in bytes, that holds about a dozen packets with a descriptor: each takes two of the
/// kernel's smallest buffers, for which there is room eight times as large (`sbreserve`).
pub const WINDOW: usize = 1000;

/// That nobody is killed for writing to a process that is gone, is a setting of the socket here. No call
/// waits, whatever flags a peer that shares the open file has set on it.
pub(in crate::sys) const SEND: SendFlags = SendFlags::DONTWAIT;

/// There is no flag for what is to become of descriptors; see [`arrived`]. No call waits, as with
/// [`SEND`].
pub(in crate::sys) const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;

/// As many as there can be. Those that a receiver has no room for, the kernel leaves open.
pub(in crate::sys) const DESCRIPTORS: usize = 512;

/// The bytes before a packet, which say how long it is.
const HEADER: usize = size_of::<u32>();

/// What a lane of packets holds, besides descriptors.
const ROOM: usize = 4 * MAX_PACKET;

/// With less room nothing is written, and with as much the longest packet is written whole
/// (`sosendcheck`).
const ENOUGH: usize = MAX_PACKET + 1024;

pub(in crate::sys) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe()?;
    sockopt::set_socket_nosigpipe(&theirs, true)?;
    Ok((ours, theirs))
}

pub(in crate::sys) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = stream_pair()?;
    for end in [&ours, &theirs] {
        sockopt::set_socket_send_buffer_size(end, ROOM)?;
        sockopt::set_socket_recv_buffer_size(end, ROOM)?;
        wait_for_room(end.as_fd(), ENOUGH)?;
    }
    Ok((ours, theirs))
}

/// Ours first, then that of a child, which may be no program of ours and want the signal.
pub(in crate::sys) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    for end in [&ours, &theirs] {
        disown(end)?;
    }
    sockopt::set_socket_nosigpipe(&ours, true)?;
    Ok((ours, theirs))
}

/// It is writable again when it is mostly empty, as on Linux.
pub(in crate::sys) fn limit_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    sockopt::set_socket_send_buffer_size(socket, bytes)?;
    wait_for_room(socket, bytes / 4 * 3)
}

/// Takes a socket for full while it has less room than that.
fn wait_for_room(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open, and the kernel reads the one number.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDLOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `FIONREAD` would count what goes with descriptors as well.
pub(in crate::sys) fn unread(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    let mut length = size_of_val(&bytes) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes one number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NREAD,
            (&raw mut bytes).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(bytes.unsigned_abs().into()) }
}

pub(in crate::sys) fn send_packet(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    let send = Call::Send(Lane::Control);
    if bytes.len() > MAX_PACKET {
        return Err(Failure::of(send, libc::EMSGSIZE));
    }
    let header = (bytes.len() as u32).to_ne_bytes();
    let slices = [IoSlice::new(&header), IoSlice::new(bytes)];
    if transmit_escorted(socket, Lane::Control, &slices, descriptor)? < HEADER + bytes.len() {
        // The peer would take the next packet for the rest of this one.
        lane::shutdown(socket, Lane::Control)?;
        return Err(Failure::of(send, libc::EIO));
    }
    Ok(())
}

pub(in crate::sys) fn receive_whole_packet(
    socket: BorrowedFd<'_>,
    limit: usize,
    check: impl FnOnce(bool) -> Result<(), Failure>,
) -> Result<WholePacket, Failure> {
    let receive = Call::Receive(Lane::Control);
    let mut header = [0; HEADER];
    let (_, found) = attempt_to_receive(Lane::Control, || {
        recv(socket, &mut header[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)
    })?;
    let length = u32::from_ne_bytes(header) as usize;
    let without_bytes =
        |length, is_end| WholePacket { bytes: Vec::new(), length, descriptor: None, is_end };
    if found == 0 {
        return Ok(without_bytes(0, true));
    }
    if found == HEADER && length > limit {
        // No packet of ours, so nothing behind it is.
        lane::shutdown(socket, Lane::Control)?;
        return Ok(without_bytes(length, false));
    }
    let fault = |error: io::Error| Failure::of(receive, error.raw_os_error().unwrap_or(libc::EIO));
    if found < HEADER || unread(socket).map_err(fault)? < (HEADER + length) as u64 {
        // The kernel adds a long packet in pieces, with hardly any time between them.
        return Err(Failure::WouldBlock);
    }
    // Whether there is a descriptor, the kernel does not tell before.
    check(true)?;
    let mut bytes = vec![0; length];
    let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut bytes)];
    let received = receive_slices(socket, Lane::Control, &mut slices)?;
    // Fewer, where a descriptor comes with its middle.
    bytes.truncate(received.length.saturating_sub(HEADER));
    Ok(WholePacket { bytes, length, descriptor: received.descriptor, is_end: false })
}

/// As [`lane::receive_fixed_packet`]: there is room for all that another holder of the socket may ask for.
pub(in crate::sys) fn receive_shared(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<Received, Failure> {
    lane::receive_fixed_packet(socket, buffer)
}

/// A stream that has no room for as much as a descriptor says that this is too long (`sosendcheck`).
pub(in crate::sys) fn as_full(errno: Errno) -> Errno {
    if errno == Errno::MSGSIZE { Errno::AGAIN } else { errno }
}

/// Whether the next call will get the bytes of a descriptor which this process had no number for
/// (`unp_externalize`).
pub(in crate::sys) fn has_lost_descriptor(errno: Errno) -> bool {
    [Errno::MSGSIZE, Errno::MFILE, Errno::NFILE].contains(&errno)
}

/// Makes it close-on-exec. A process that is started this very moment does not inherit it for all that:
/// see `spawn`.
pub(in crate::sys) fn arrived(descriptor: OwnedFd) -> Option<OwnedFd> {
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(descriptor)
}

/// `poll` would tell of a hang-up only together with every byte that comes (`poll_nocancel`). The queue
/// is told that we want more bytes than there can be; so it tells of the end, and of a full buffer.
pub(in crate::sys) fn wait_for_end(stream: &OwnedFd) {
    let socket = stream.as_raw_fd().unsigned_abs() as usize;
    let watched = || {
        let queue = Queue::new()?;
        queue.watch(socket, libc::EVFILT_READ, libc::NOTE_LOWAT, i32::MAX as isize)?;
        io::Result::Ok(queue)
    };
    let queue = loop {
        match watched() {
            Ok(queue) => break queue,
            // There may be descriptors later.
            Err(_) => thread::sleep(Duration::from_secs(1)),
        }
    };
    while !queue.next(true).is_ok_and(|event| event.is_some_and(|event| event.is_end)) {}
}

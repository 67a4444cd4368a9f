//! macOS has no sockets that keep the boundaries of packets and report the end, and its datagram
//! sockets do not report when there is room (`uipc_send`). So packets go through streams. Packets of a
//! hand-off queue all have the same length; others are preceded by theirs, and are written whole or not
//! at all.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use nix::sys::{
    event::{EventFilter, FilterFlag},
    socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, getsockopt, recv, setsockopt, socketpair,
        sockopt::{GetStruct, RcvBuf, SetStruct, SndBuf},
    },
};

use super::{
    queue::Queue,
    socket::{NoSigpipe, set_close_on_exec_and_nonblocking},
};
use crate::{
    protocol::control::MAX_PACKET,
    sys::{
        call::{Call, Lane},
        failure::{Failure, attempt_to_receive},
        transfer::{Received, WholePacket, receive_slices, send_kept, shutdown},
    },
};

/// The type of socket for packets.
pub(in crate::sys) const PACKETS: SockType = SockType::Stream;

/// The send buffer, in bytes, that holds about a dozen packets with a descriptor: each takes two of the
/// kernel's smallest buffers, for which there is room eight times as large (`sbreserve`).
pub const WINDOW: usize = 1000;

/// The bytes before a packet, which say how long it is.
const HEADER: usize = size_of::<u32>();

/// What a lane of packets holds, besides descriptors.
const ROOM: usize = 4 * MAX_PACKET;

/// With less room nothing is written; with this much the longest packet is written whole
/// (`sosendcheck`).
const ENOUGH: usize = MAX_PACKET + 1024;

/// How much room a socket must have to be writable: an option that `nix` does not have.
#[derive(Clone, Copy)]
struct SendLowWater;

nix::setsockopt_impl!(
    SendLowWater,
    libc::SOL_SOCKET,
    libc::SO_SNDLOWAT,
    libc::c_int,
    SetStruct<'_, libc::c_int>
);

/// How many bytes there are to read: an option that `nix` does not have.
#[derive(Clone, Copy)]
struct Unread;

nix::getsockopt_impl!(
    Unread,
    libc::SOL_SOCKET,
    libc::SO_NREAD,
    libc::c_int,
    GetStruct<libc::c_int>
);

pub(in crate::sys) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe()?;
    setsockopt(&theirs, NoSigpipe, &true)?;
    Ok((ours, theirs))
}

pub(in crate::sys) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = stream_pair()?;
    for end in [&ours, &theirs] {
        setsockopt(end, SndBuf, &ROOM)?;
        setsockopt(end, RcvBuf, &ROOM)?;
        wait_for_room(end.as_fd(), ENOUGH)?;
    }
    Ok((ours, theirs))
}

/// Our end first, then the child's. The child may be any program, and may want the signal.
pub(in crate::sys) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
    for end in [&ours, &theirs] {
        set_close_on_exec_and_nonblocking(end)?;
    }
    setsockopt(&ours, NoSigpipe, &true)?;
    Ok((ours, theirs))
}

/// The socket becomes writable again when it is mostly empty, as on Linux.
pub(in crate::sys) fn limit_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    setsockopt(&socket, SndBuf, &bytes)?;
    wait_for_room(socket, bytes / 4 * 3)
}

/// Makes a socket count as full while it has less room than this.
fn wait_for_room(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    Ok(setsockopt(&socket, SendLowWater, &bytes)?)
}

/// Not `FIONREAD`, which also counts the space of descriptors.
pub(in crate::sys) fn unread(socket: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(getsockopt(&socket, Unread)?.unsigned_abs().into())
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
    if send_kept(socket, Lane::Control, &slices, descriptor)? < HEADER + bytes.len() {
        // The peer would take the next packet for the rest of this one.
        shutdown(socket, Lane::Control)?;
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
    let found = attempt_to_receive(Lane::Control, || {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(socket.as_raw_fd(), &mut header, peek)
    })?;
    let length = u32::from_ne_bytes(header) as usize;
    let without_bytes =
        |length, is_end| WholePacket { bytes: Vec::new(), length, descriptor: None, is_end };
    if found == 0 {
        return Ok(without_bytes(0, true));
    }
    if found == HEADER && length > limit {
        // This is not a packet of ours, so nothing after it is.
        shutdown(socket, Lane::Control)?;
        return Ok(without_bytes(length, false));
    }
    let fault = |error: io::Error| Failure::of(receive, error.raw_os_error().unwrap_or(libc::EIO));
    if found < HEADER || unread(socket).map_err(fault)? < (HEADER + length) as u64 {
        // The kernel adds a long packet in pieces, with hardly any time between them.
        return Err(Failure::WouldBlock);
    }
    // The kernel does not report in advance whether there is a descriptor.
    check(true)?;
    let mut bytes = vec![0; length];
    let mut slices = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut bytes)];
    let received = receive_slices(socket, Lane::Control, &mut slices)?;
    // There are fewer if a descriptor came in the middle.
    bytes.truncate(received.length.saturating_sub(HEADER));
    Ok(WholePacket { bytes, length, descriptor: received.descriptor, is_end: false })
}

/// Like `receive_fixed_packet`: there is room for everything that another holder of the socket may ask
/// for.
pub(in crate::sys) fn receive_shared(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<Received, Failure> {
    receive_slices(socket, Lane::HandOff, &mut [IoSliceMut::new(buffer)])
}

/// `poll` would report a hang-up only together with every byte that comes (`poll_nocancel`). So the
/// queue waits for more bytes than there can be, and reports only the end, or a full buffer.
pub(in crate::sys) fn wait_for_end(stream: &OwnedFd) {
    let socket = stream.as_raw_fd().unsigned_abs() as usize;
    let watched = || {
        let queue = Queue::new()?;
        let (filter, most) = (EventFilter::EVFILT_READ, i32::MAX as isize);
        queue.watch(socket, filter, FilterFlag::NOTE_LOWAT, most)?;
        nix::Result::Ok(queue)
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

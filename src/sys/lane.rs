//! The Unix socket pairs that lanes are made of.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, Shutdown, SocketType, sockopt,
    },
};

use super::platform::{lane as platform, socket::family, transit::escort};
pub use super::platform::{lane::WINDOW, transit::Transit};

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
        Kind::Stream => SocketType::STREAM,
        Kind::Packets => platform::PACKETS,
    };
    let found = (family(socket.as_fd())?, sockopt::socket_type(&socket)?);
    if found == (AddressFamily::UNIX, wanted) { Ok(()) } else { Err(Errno::PROTOTYPE.into()) }
}

/// A byte stream: the message lane. Neither end blocks.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    platform::stream_pair()
}

/// Packets that keep their borders and their order, and an end that is seen: the control and the
/// connection lane. Neither end blocks.
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
    Ok(rustix::io::ioctl_fionbio(fd, false)?)
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

/// Ends both directions for every holder of the socket; the peer still reads what was sent.
pub fn shutdown(socket: impl AsFd) {
    // Fails only when the peer is gone, which is what it is for.
    let _ = rustix::net::shutdown(socket, Shutdown::Both);
}

/// Sends slices, and says how many bytes went. A descriptor goes with the first of them.
///
/// # Errors
/// `WouldBlock` when the buffer is full, `EPIPE` or `ECONNRESET` when the peer is gone,
/// `ETOOMANYREFS` when too many descriptors of this user are on their way.
pub fn send(
    socket: impl AsFd,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let sent = transmit(socket.as_fd(), slices, descriptor)?;
    escort(socket.as_fd(), descriptor);
    Ok(sent)
}

fn transmit(
    socket: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: &[BorrowedFd<'_>] = descriptor.as_slice();
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    retry(|| rustix::net::sendmsg(socket, slices, &mut control, platform::SEND))
        .map_err(platform::as_full)
}

/// Waits until the socket can be written to, or its peer is gone; false when `within` has passed.
pub fn becomes_writable(socket: impl AsFd, within: Duration) -> bool {
    let Ok(within) = Timespec::try_from(within) else { return false };
    let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
    retry(|| poll(&mut polled, Some(&within))).is_ok_and(|count| count > 0)
}

/// Waits until nobody is left at the other end of a stream, whatever comes from there meanwhile.
pub fn wait_for_end(stream: &OwnedFd) {
    platform::wait_for_end(stream);
}

/// Sends one packet, with at most one descriptor. [`receive_whole_packet`] takes it.
///
/// # Errors
/// As [`send`]; `EMSGSIZE` when the packet exceeds the send buffer.
pub fn send_packet(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    platform::send_packet(socket.as_fd(), bytes, descriptor)
}

/// As [`send_packet`], in a lane whose packets are all as long as this one, a few bytes. [`receive`]
/// takes it, so several may receive from one lane. A descriptor has to be kept in a [`Transit`] until
/// somebody has it.
///
/// # Errors
/// As [`send`].
pub fn send_fixed_packet(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    transmit(socket.as_fd(), &[IoSlice::new(bytes)], descriptor)?;
    Ok(())
}

/// What one call to [`receive`] found: bytes of a stream, or one packet.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer it filled; 0 means that the lane has ended.
    pub length: usize,
    /// The descriptor that came along with the last bytes of a stream, or with the packet.
    pub descriptor: Option<OwnedFd>,
    /// Whether a packet was longer than the buffer, or descriptors were lost: too many were sent,
    /// or this process has none left.
    pub truncated: bool,
}

/// Receives bytes of a stream, up to the end of those that a descriptor came with, or one fixed packet
/// into a buffer of its length. In both cases there is at most one descriptor.
///
/// # Errors
/// `WouldBlock` when nothing is there yet, `ECONNRESET` when the peer of a stream left data of ours
/// unread.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    receive_slices(socket.as_fd(), &mut [IoSliceMut::new(buffer)])
}

pub(super) fn receive_slices(
    socket: BorrowedFd<'_>,
    slices: &mut [IoSliceMut<'_>],
) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(platform::DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut receive =
        || retry(|| rustix::net::recvmsg(socket, slices, &mut control, platform::RECEIVE));
    let (received, lost) = match receive() {
        Err(error) if platform::has_lost_descriptor(&error) => (receive()?, true),
        received => (received?, false),
    };
    let (mut descriptor, mut count) = (None, 0);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            for arrived in descriptors {
                descriptor = platform::arrived(arrived);
                count += 1;
            }
        }
    }
    let cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let truncated = cut || lost || count > 1;
    Ok(Received { length: received.bytes, descriptor, truncated })
}

/// One packet of any length, as [`receive_whole_packet`] found it.
#[derive(Debug)]
pub struct WholePacket {
    /// Its bytes; none means that the lane has ended.
    pub bytes: Vec<u8>,
    /// How long it was, which may be more.
    pub length: usize,
    /// The descriptor that came along.
    pub descriptor: Option<OwnedFd>,
}

/// Receives one packet, of which it keeps at most `limit` bytes. There must be no other receiver.
///
/// # Errors
/// As [`receive`].
pub fn receive_whole_packet(socket: impl AsFd, limit: usize) -> io::Result<WholePacket> {
    platform::receive_whole_packet(socket.as_fd(), limit)
}

pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::same_socket;

    #[test]
    fn a_packet_carries_its_descriptor_and_any_holder_of_the_end_may_take_it() {
        let (ours, theirs) = packet_pair().unwrap();
        let kept = theirs.try_clone().unwrap();
        let (cargo, _other) = stream_pair().unwrap();
        send_fixed_packet(&ours, b"abcd", Some(cargo.as_fd())).unwrap();
        send_fixed_packet(&ours, b"efgh", None).unwrap();
        assert_eq!(unread(&kept).unwrap(), 8, "the bytes of all waiting packets");

        drop(theirs);
        let mut buffer = [0; 4];
        let packet = receive(&kept, &mut buffer).unwrap();
        assert_eq!(&buffer[..packet.length], b"abcd");
        assert!(same_socket(&packet.descriptor.unwrap(), &cargo));
        let packet = receive(&kept, &mut buffer).unwrap();
        assert_eq!(&buffer[..packet.length], b"efgh");
        assert!(packet.descriptor.is_none() && !packet.truncated);
        let empty = receive(&kept, &mut buffer).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_end_of_another_kind_is_told_apart() {
        let (stream, _other) = stream_pair().unwrap();
        check(stream.try_clone().unwrap(), Kind::Stream).unwrap();
        let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let datagrams = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(errno(check(datagrams.into(), Kind::Packets)), Some(libc::EPROTOTYPE));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(errno(check(file.into(), Kind::Stream)), Some(libc::ENOTSOCK));
    }

    #[test]
    fn a_packet_is_received_whole_whatever_its_length() {
        let (ours, theirs) = packet_pair().unwrap();
        for length in [1, 100, 5000] {
            send_packet(&ours, &vec![7; length], Some(theirs.as_fd())).unwrap();
            let packet = receive_whole_packet(&theirs, 1000).unwrap();
            assert_eq!((packet.bytes.len(), packet.length), (length.min(1000), length));
            assert!(packet.descriptor.is_some());
        }
        let empty = receive_whole_packet(&theirs, 1000).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        assert_eq!(receive_whole_packet(&theirs, 1000).unwrap().length, 0);
    }

    #[test]
    fn a_small_send_buffer_is_a_small_window() {
        let (ours, theirs) = packet_pair().unwrap();
        limit_send_buffer(&ours, WINDOW).unwrap();
        let sent = (0..1000)
            .take_while(|_| send_fixed_packet(&ours, b"abcd", Some(theirs.as_fd())).is_ok());
        assert!((4..40).contains(&sent.count()));
    }

    #[test]
    fn a_closed_peer_is_an_error_to_send_to_and_the_end_to_read_from() {
        let (ours, theirs) = packet_pair().unwrap();
        drop(theirs);
        let gone = send_packet(&ours, b"abcd", None).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(receive(&ours, &mut [0; 4]).unwrap().length, 0);
    }
}

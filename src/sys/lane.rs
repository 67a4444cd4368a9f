//! The Unix socket pairs that lanes are made of.

use std::{
    fmt,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, Shutdown, SockType, getsockopt, sockopt},
};

pub use super::platform::{lane::WINDOW, transit::Transit};
use super::{
    descriptor::set_nonblocking,
    failure::{Call, Failure, SHORTAGE_PAUSE, attempt, attempt_to_receive},
    message,
    platform::{
        lane as platform,
        message::{RECEIVE, SEND, SPACE, as_full, has_lost_descriptor},
        socket::family,
        transit::keep_until_received,
    },
    reserve::has_free_descriptor,
};

/// Which lane a system call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The stream of the IPC channel.
    Ipc,
    /// The control socket.
    Control,
    /// The hand-off queue.
    HandOff,
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ipc => "IPC channel",
            Self::Control => "control socket",
            Self::HandOff => "hand-off queue",
        })
    }
}

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

/// Ends both directions for every holder of the socket; the peer still reads what was sent.
///
/// # Errors
/// [`Failure::Shortage`] or [`Failure::Fault`]: with a peer that is gone already, there is nothing to end.
pub fn shutdown(socket: impl AsFd, lane: Lane) -> Result<(), Failure> {
    let socket = socket.as_fd().as_raw_fd();
    match attempt(Call::Shutdown(lane), || nix::sys::socket::shutdown(socket, Shutdown::Both)) {
        Err(Failure::Gone) => Ok(()),
        result => result,
    }
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

/// As [`send_slices`], for lanes whose waiting packets are not counted.
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

fn send_slices(
    socket: BorrowedFd<'_>,
    lane: Lane,
    slices: &[IoSlice<'_>],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<usize, Failure> {
    let sendmsg = || message::send(socket, slices, descriptor, SEND);
    attempt(Call::Send(lane), || sendmsg().map_err(as_full))
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

/// One packet of any length, as [`receive_whole_packet`] found it.
#[derive(Debug)]
pub struct WholePacket {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How long it was, which may be more.
    pub length: usize,
    /// The descriptor that came along.
    pub descriptor: Option<OwnedFd>,
    /// Whether it is no packet, but the end of the lane.
    pub is_end: bool,
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
mod tests {
    use nix::sys::{
        socket::setsockopt,
        time::{TimeVal, TimeValLike},
    };

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
        let packet = receive_fixed_packet(&kept, &mut buffer).unwrap();
        assert_eq!(&buffer[..packet.length], b"abcd");
        assert!(same_socket(&packet.descriptor.unwrap(), &cargo));
        let packet = receive_fixed_packet(&kept, &mut buffer).unwrap();
        assert_eq!(&buffer[..packet.length], b"efgh");
        assert!(packet.descriptor.is_none() && !packet.truncated);
        let empty = receive_fixed_packet(&kept, &mut buffer).unwrap_err();
        assert_eq!(empty, Failure::WouldBlock);
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
        assert_eq!(empty, Failure::WouldBlock);
        drop(ours);
        assert!(receive_whole_packet(&theirs, 1000).unwrap().is_end);
    }

    #[test]
    fn an_empty_packet_is_not_the_end() {
        let (ours, theirs) = packet_pair().unwrap();
        send_packet(&ours, b"", None).unwrap();
        send_packet(&ours, b"", Some(theirs.as_fd())).unwrap();
        for has_descriptor in [false, true] {
            let packet = receive_packet_with_descriptor(&theirs, 1000).unwrap();
            assert!(!packet.is_end && packet.length == 0);
            assert_eq!(packet.descriptor.is_some(), has_descriptor);
        }
        let empty = receive_whole_packet(&theirs, 1000).unwrap_err();
        assert_eq!(empty, Failure::WouldBlock);
        shutdown(&ours, Lane::Control).unwrap();
        assert!(receive_whole_packet(&theirs, 1000).unwrap().is_end);
    }

    #[test]
    fn an_end_that_another_process_has_too_neither_waits_nor_loses_a_descriptor() {
        let (ours, theirs) = packet_pair().unwrap();
        let kept = theirs.try_clone().unwrap();
        set_nonblocking(&theirs, false).unwrap();
        setsockopt(&theirs, sockopt::ReceiveTimeout, &TimeVal::zero()).unwrap();
        #[cfg(target_os = "linux")]
        for option in [libc::SO_PASSCRED, libc::SO_PASSSEC, libc::SO_TIMESTAMP, 76] {
            let (on, length) = (1, size_of::<libc::c_int>() as libc::socklen_t);
            let (fd, level) = (theirs.as_raw_fd(), libc::SOL_SOCKET);
            // SAFETY: an open socket, and a number that lives. An older kernel lacks the last one,
            // SO_PASSPIDFD.
            let set =
                unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), length) };
            assert!(set == 0 || option == 76);
        }
        let (cargo, _other) = stream_pair().unwrap();
        send_fixed_packet(&ours, b"abcd", Some(cargo.as_fd())).unwrap();
        let mut buffer = [0; 4];
        let packet = receive_shared(&kept, &mut buffer).unwrap();
        assert_eq!((packet.length, &buffer, packet.truncated), (4, b"abcd", false));
        assert!(same_socket(&packet.descriptor.unwrap(), &cargo));
        let empty = receive_shared(&kept, &mut buffer).unwrap_err();
        assert_eq!(empty, Failure::WouldBlock);
        drop(ours);
        assert_eq!(receive_shared(&kept, &mut buffer).unwrap().length, 0);
    }

    #[test]
    fn what_a_peer_had_sent_is_received_though_it_left_something_unread() {
        type Send = fn(&OwnedFd, &[u8], Option<BorrowedFd<'_>>) -> Result<(), Failure>;
        type Receive = fn(&OwnedFd) -> (usize, Option<OwnedFd>);
        fn whole(packet: Result<WholePacket, Failure>) -> (usize, Option<OwnedFd>) {
            packet.map(|packet| (packet.length, packet.descriptor)).unwrap()
        }
        fn fixed(packet: Result<Received, Failure>) -> (usize, Option<OwnedFd>) {
            packet.map(|packet| (packet.length, packet.descriptor)).unwrap()
        }
        let control: Send = |lane, bytes, descriptor| send_packet(lane, bytes, descriptor);
        let connection: Send = |lane, bytes, descriptor| send_fixed_packet(lane, bytes, descriptor);
        let ways: [(Send, Receive); 4] = [
            (control, |lane| whole(receive_whole_packet(lane, 100))),
            (control, |lane| whole(receive_packet_with_descriptor(lane, 100))),
            (connection, |lane| fixed(receive_fixed_packet(lane, &mut [0; 4]))),
            (connection, |lane| fixed(receive_shared(lane, &mut [0; 4]))),
        ];
        for (send, receive) in ways {
            let (ours, theirs) = packet_pair().unwrap();
            send(&ours, b"left", None).unwrap();
            send(&theirs, b"abcd", Some(ours.as_fd())).unwrap();
            send(&theirs, b"efgh", None).unwrap();
            drop(theirs);
            // A process that another test starts this very moment has it as well.
            wait_for_end(&ours);
            let received = [(); 3].map(|()| receive(&ours));
            assert_eq!(
                received.map(|(length, it)| (length, it.is_some())),
                [(4, true), (4, false), (0, false)]
            );
        }
        let (ours, theirs) = stream_pair().unwrap();
        send(&ours, &[IoSlice::new(b"left")], None).unwrap();
        send(&theirs, &[IoSlice::new(b"abcd")], None).unwrap();
        drop(theirs);
        wait_for_end(&ours);
        let mut buffer = [0; 8];
        assert_eq!([(); 2].map(|()| receive(&ours, &mut buffer).unwrap().length), [4, 0]);
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
        // A process that another test is starting may have it as well.
        nix::sys::socket::shutdown(theirs.as_raw_fd(), Shutdown::Both).unwrap();
        drop(theirs);
        assert_eq!(send_packet(&ours, b"abcd", None), Err(Failure::Gone));
        assert_eq!(receive_fixed_packet(&ours, &mut [0; 4]).unwrap().length, 0);
    }
}

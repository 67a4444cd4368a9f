use std::os::fd::AsRawFd;

use nix::sys::{
    socket::{Shutdown, setsockopt},
    time::{TimeVal, TimeValLike},
};

use super::*;
use crate::sys::descriptor::same_socket;

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
        let set = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), length) };
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
    let sent =
        (0..1000).take_while(|_| send_fixed_packet(&ours, b"abcd", Some(theirs.as_fd())).is_ok());
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

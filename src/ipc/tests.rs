use std::{borrow::Cow, io::IoSlice, os::fd::AsFd};

use proptest::prelude::*;

use super::{sending::LONGEST_IN_MEMORY, *};
use crate::{
    error::Error,
    protocol::frame,
    sys::{
        failure::Call,
        inject::{self, FAULTS, GONE, SHORTAGES, fail_here, fail_here_after},
        ring::{self, Side},
    },
};

const SENDING: Call = Call::Send(Lane::Ipc);
const RECEIVING: Call = Call::Receive(Lane::Ipc);

fn pair() -> (Channel, Channel) {
    let (one, other) = lane::stream_pair().unwrap();
    let memory = ring::create().unwrap();
    let map = |side| Ring::map(&memory, side).unwrap();
    (Channel::new(one, map(Side::Primary)), Channel::new(other, map(Side::Worker)))
}

fn texts<'a>(messages: &'a [Incoming<'_>]) -> Vec<&'a str> {
    messages.iter().map(|message| str::from_utf8(&message.payload).unwrap()).collect()
}

fn payload(text: &str) -> Payload<'_> {
    Payload::Borrowed(text.as_bytes())
}

fn send(channel: &mut Channel, text: &str) {
    channel.send(Kind::Text, payload(text), None).unwrap();
}

fn receive(channel: &mut Channel, messages: &mut Vec<Incoming<'static>>) -> Result<Reading> {
    channel.receive(|Incoming { kind, payload, handle }| {
        messages.push(Incoming { kind, payload: Cow::Owned(payload.into_owned()), handle });
        Ok(())
    })
}

fn send_handle(channel: &mut Channel, text: &str) -> OwnedFd {
    let (cargo, other) = lane::stream_pair().unwrap();
    let handle = Some((HandleType::PipeSocket, cargo));
    channel.send(Kind::Text, payload(text), handle).unwrap();
    other
}

#[test]
fn messages_arrive_whole_and_in_order() {
    let (mut one, mut other) = pair();
    send(&mut one, "1");
    one.send(Kind::Internal, payload(""), None).unwrap();
    send(&mut one, "\"☃\"");
    assert!(one.is_idle());
    let mut messages = Vec::new();
    assert_eq!(receive(&mut other, &mut messages).unwrap(), Reading::Open);
    assert_eq!(texts(&messages), ["1", "", "\"☃\""]);
    assert_eq!(messages[1].kind, Kind::Internal);
}

#[test]
fn what_the_socket_does_not_take_is_queued_and_flushed_in_order() {
    let (mut one, mut other) = pair();
    let long = "x".repeat(1 << 20);
    for text in ["first", &long, "", &long, "last"] {
        send(&mut one, text);
    }
    assert!(one.sender.outgoing.len() > 1 << 20);
    let mut messages = Vec::new();
    let mut flushed = 1;
    while messages.len() < 5 {
        flushed += one.flush().unwrap().messages;
        receive(&mut other, &mut messages).unwrap();
    }
    assert_eq!(texts(&messages), ["first", &long, "", &long, "last"]);
    assert_eq!((flushed, one.sender.outgoing.len(), one.is_idle()), (5, 0, true));
}

#[test]
fn several_channels_queue_the_same_bytes_until_the_last_has_sent_them() {
    let mut pairs = [pair(), pair()];
    let long = vec![b'x'; 1 << 20];
    let bytes = SharedBytes::new(long.clone());
    let kept = bytes.downgrade();
    for (one, _) in &mut pairs {
        one.send(Kind::String, bytes.clone(), None).unwrap();
        send(one, "after");
    }
    drop(bytes);
    for (one, other) in &mut pairs {
        assert!(kept.upgrade().is_some());
        let mut messages = Vec::new();
        while messages.len() < 2 {
            one.flush().unwrap();
            receive(other, &mut messages).unwrap();
        }
        assert_eq!(messages[0].payload, long);
        assert_eq!(texts(&messages[1..]), ["after"]);
    }
    assert!(kept.upgrade().is_none());
}

#[test]
fn the_end_comes_after_the_last_message() {
    let (mut one, mut other) = pair();
    send(&mut one, "last words");
    drop(one);
    let mut messages = Vec::new();
    while receive(&mut other, &mut messages).unwrap() == Reading::Open {}
    assert_eq!(texts(&messages), ["last words"]);
}

#[test]
fn the_queue_is_flushed_on_exit_as_long_as_the_peer_reads() {
    let (stream, theirs) = lane::stream_pair().unwrap();
    let memory = ring::create().unwrap();
    let mut one = Channel::new(stream, Ring::map(&memory, Side::Primary).unwrap());
    let long = "x".repeat(1 << 20);
    send(&mut one, &long);
    assert!(!one.is_idle());
    assert!(!one.flush_on_exit(Duration::from_millis(1)), "the peer does not read");
    let reading = std::thread::spawn(move || {
        let mut other = Channel::new(theirs, Ring::map(&memory, Side::Worker).unwrap());
        let mut messages = Vec::new();
        while messages.is_empty() {
            receive(&mut other, &mut messages).unwrap();
        }
        messages[0].payload.len()
    });
    assert!(one.flush_on_exit(Duration::from_secs(20)));
    assert_eq!(reading.join().unwrap(), long.len());
}

#[test]
fn what_is_said_to_be_gone_arrives_though_its_sender_dies_with_the_stream_full() {
    // A message of one of these lengths just fills the stream.
    for length in (0..200_000).step_by(2_000) {
        let (mut one, mut other) = pair();
        lane::limit_send_buffer(&one.sender.stream, 40_000).unwrap();
        let long = "x".repeat(length);
        let texts = [&long, "short"].map(payload);
        let queued = texts.map(|text| one.send(Kind::Text, text, None).unwrap());
        let gone = queued.iter().filter(|&&queued| queued == 0).count();
        drop(one);
        let mut messages = Vec::new();
        while receive(&mut other, &mut messages).unwrap() != Reading::Ended {}
        assert_eq!(messages.len(), gone, "after a message of {length} bytes");
    }
}

#[test]
fn a_shutdown_ends_the_channel_though_others_have_the_socket() {
    let (one, mut other) = pair();
    let _held = one.sender.stream.try_clone().unwrap();
    one.shutdown().unwrap();
    assert_eq!(receive(&mut other, &mut Vec::new()).unwrap(), Reading::Ended);
}

#[test]
fn garbage_is_an_error_after_the_messages_before_it() {
    let (mut one, mut other) = pair();
    send(&mut one, "fine");
    lane::send(&one.sender.stream, &[IoSlice::new(&[0xff; 16])], None).unwrap();
    let mut messages = Vec::new();
    assert!(receive(&mut other, &mut messages).is_err());
    assert_eq!(texts(&messages), ["fine"]);
    send(&mut one, "more");
}

#[test]
fn each_descriptor_arrives_with_its_own_message() {
    let (mut one, mut other) = pair();
    let long = "x".repeat(1 << 20);
    let mut kept = Vec::new();
    // Queued and not, long and short, with a descriptor and without one.
    for round in 1..=20 {
        send(&mut one, "plain");
        let text = if round % 5 == 0 { &long } else { "cargo" };
        kept.push(send_handle(&mut one, text));
    }
    let mut messages = Vec::new();
    while messages.len() < 40 {
        one.flush().unwrap();
        receive(&mut other, &mut messages).unwrap();
    }
    let mut kept = kept.into_iter();
    for (index, message) in messages.into_iter().enumerate() {
        let Some((handle, descriptor)) = message.handle else {
            assert_eq!((index % 2, &*message.payload), (0, b"plain".as_slice()));
            continue;
        };
        assert_eq!((index % 2, handle), (1, HandleType::PipeSocket));
        let (descriptor, kept) = (descriptor.unwrap(), kept.next().unwrap());
        lane::send(&kept, &[IoSlice::new(b"!")], None).unwrap();
        assert_eq!(lane::unread(&descriptor).unwrap(), 1, "the two ends of one pair");
    }
}

#[test]
fn a_descriptor_that_no_frame_speaks_of_is_garbage() {
    let (one, mut other) = pair();
    let wake = frame::header(Kind::Wake, None, 0).unwrap();
    lane::send(&one.sender.stream, &[IoSlice::new(&wake)], Some(one.sender.stream.as_fd()))
        .unwrap();
    let result = receive(&mut other, &mut Vec::new());
    assert!(matches!(result, Err(Error::UnclaimedHandle)));
}

#[test]
fn a_descriptor_of_another_type_is_garbage() {
    let (mut one, mut other) = pair();
    for handle in [HandleType::PipeServer, HandleType::TcpSocket, HandleType::UdpNative] {
        let (cargo, _end) = lane::stream_pair().unwrap();
        one.send(Kind::Text, payload("?"), Some((handle, cargo))).unwrap();
        let result = receive(&mut other, &mut Vec::new());
        assert!(matches!(result, Err(Error::WrongHandle(wrong)) if wrong == handle));
    }
}

#[test]
fn a_frame_whose_descriptor_does_not_come_is_garbage() {
    let (mut one, mut other) = pair();
    let _end = send_handle(&mut one, "a good one");
    let header = frame::header(Kind::Text, Some(HandleType::TcpSocket), 0).unwrap();
    lane::send(&one.sender.stream, &[IoSlice::new(&header)], None).unwrap();
    assert!(matches!(receive(&mut other, &mut Vec::new()), Err(Error::NoHandle)));
}

#[test]
fn a_message_in_the_stream_without_a_switch_before_it_is_garbage() {
    let (one, mut other) = pair();
    let header = frame::header(Kind::Text, None, 0).unwrap();
    lane::send(&one.sender.stream, &[IoSlice::new(&header)], None).unwrap();
    assert!(matches!(receive(&mut other, &mut Vec::new()), Err(Error::Unexpected)));
}

#[test]
fn memory_that_carries_no_frames_is_garbage() {
    for garbage in [
        // Less than a header; a frame that is not all there; a wake, which makes no sense here.
        [1, 0, 0].as_slice(),
        &frame::header(Kind::Text, None, 1).unwrap(),
        &frame::header(Kind::Wake, None, 0).unwrap(),
        &frame::header(Kind::Text, Some(HandleType::UdpNative), 0).unwrap(),
        &[0xff; 20],
    ] {
        let (mut one, mut other) = pair();
        send(&mut one, "fine");
        one.sender.writer.write(&[garbage]);
        let mut messages = Vec::new();
        assert!(receive(&mut other, &mut messages).is_err());
        assert_eq!(texts(&messages), ["fine"]);
    }
}

/// One end does something.
#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    SendHandle(usize),
    Flush,
    Receive,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = || prop_oneof![4 => 0usize..100, 2 => 10_000usize..60_000, 1 => 0usize..300_000];
    let step = prop_oneof![
        6 => length().prop_map(Step::Send),
        1 => length().prop_map(Step::SendHandle),
        1 => Just(Step::Flush),
        2 => Just(Step::Receive),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn all_arrives_once_and_in_order_whatever_the_two_do(steps in steps()) {
        let (mut one, mut other) = pair();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        let mut rest = Rest::Asleep;
        for step in steps {
            match step {
                Step::Send(length) => {
                    let text = format!("{}{}", sent.len(), "x".repeat(length));
                    send(&mut one, &text);
                    sent.push((text, false));
                }
                Step::SendHandle(length) => {
                    let text = format!("{}{}", sent.len(), "h".repeat(length));
                    drop(send_handle(&mut one, &text));
                    sent.push((text, true));
                }
                Step::Flush => drop(one.flush().unwrap()),
                Step::Receive => {
                    receive(&mut other, &mut received).unwrap();
                    rest = other.rest().unwrap();
                }
            }
        }
        // As an event loop does it, which can wait for nothing but the stream.
        for _ in 0..10_000 {
            one.flush().unwrap();
                if rest == Rest::Awake || lane::unread(&other.sender.stream).unwrap() > 0 {
                    receive(&mut other, &mut received).unwrap();
                    rest = other.rest().unwrap();
                }        }
        let received: Vec<_> = received
            .iter()
            .map(|it| (str::from_utf8(&it.payload).unwrap(), it.handle.is_some()))
            .collect();
        let sent: Vec<_> = sent.iter().map(|(text, handle)| (text.as_str(), *handle)).collect();
        prop_assert!(received == sent, "{} of {}", received.len(), sent.len());
        prop_assert!(one.is_idle());
    }
}

/// All that has come.
fn received(channel: &mut Channel) -> Vec<String> {
    let mut messages = Vec::new();
    receive(channel, &mut messages).unwrap();
    texts(&messages).into_iter().map(Into::into).collect()
}

#[test]
fn a_wake_that_meets_a_shortage_is_kept_and_sent_later() {
    for errno in SHORTAGES {
        let (mut one, mut other) = pair();
        fail_here(SENDING, errno, 2);
        send(&mut one, "1");
        assert!(one.sends_later(), "the first wake");
        send(&mut one, "2");
        assert_eq!(lane::unread(&other.sender.stream).unwrap(), 0);
        assert_eq!(one.flush().unwrap().messages, 0, "the second attempt");
        assert!(one.sends_later());
        one.flush().unwrap();
        assert!(one.is_idle() && !one.sends_later());
        assert!(lane::unread(&other.sender.stream).unwrap() > 0, "errno {errno}: the reader wakes");
        assert_eq!(received(&mut other), ["1", "2"]);
    }
}

#[test]
fn frames_that_meet_a_shortage_are_kept_in_order() {
    let long = "x".repeat(LONGEST_IN_MEMORY + 1);
    for errno in SHORTAGES {
        let (mut one, mut other) = pair();
        send(&mut one, "first");
        fail_here(SENDING, errno, 1);
        send(&mut one, &long);
        assert!(one.sends_later(), "errno {errno}");
        let end = send_handle(&mut one, "handle");
        send(&mut one, "last");
        fail_here(SENDING, errno, 1);
        assert_eq!(one.flush().unwrap().messages, 0);
        let flushed = one.flush().unwrap();
        assert!(flushed.messages == 3 && flushed.refused.is_none());
        let mut messages = Vec::new();
        while messages.len() < 4 {
            receive(&mut other, &mut messages).unwrap();
        }
        assert_eq!(texts(&messages), ["first", &long, "handle", "last"]);
        assert!(messages[2].handle.is_some());
        drop(end);
        // The switch back to the memory.
        fail_here(SENDING, errno, 1);
        send(&mut one, "by memory");
        one.flush().unwrap();
        assert_eq!(received(&mut other), ["by memory"]);
    }
}

#[test]
fn a_handle_that_meets_a_shortage_goes_later() {
    for errno in SHORTAGES {
        let (mut one, mut other) = pair();
        fail_here(SENDING, errno, 1);
        let _end = send_handle(&mut one, "handle");
        assert!(one.sends_later());
        let flushed = one.flush().unwrap();
        assert!(flushed.messages == 1 && flushed.refused.is_none(), "errno {errno}");
        let mut messages = Vec::new();
        receive(&mut other, &mut messages).unwrap();
        assert!(messages[0].handle.as_ref().unwrap().1.is_some());
    }
}

#[test]
fn a_peer_that_is_gone_is_no_fault() {
    let long = "x".repeat(LONGEST_IN_MEMORY + 1);
    for errno in GONE {
        let (mut one, mut other) = pair();
        fail_here(SENDING, errno, 1);
        send(&mut one, "a wake");
        fail_here(SENDING, errno, 1);
        assert!(matches!(one.send(Kind::Text, payload(&long), None), Err(Error::Gone)));
        assert!(one.fault().is_none());
        fail_here(SENDING, libc::ENOBUFS, 1);
        send(&mut one, &long);
        fail_here(SENDING, errno, 1);
        assert!(matches!(one.flush(), Err(Error::Gone)));
        assert!(one.has_no_reader() && one.is_idle(), "nothing waits for room");
        fail_here(RECEIVING, errno, 2);
        let mut messages = Vec::new();
        assert_eq!(receive(&mut other, &mut messages).unwrap(), Reading::Ended);
        assert_eq!(texts(&messages), ["a wake"]);
    }
}

#[test]
fn any_other_failure_is_a_fault_of_the_channel() {
    let long = "x".repeat(LONGEST_IN_MEMORY + 1);
    for errno in FAULTS {
        for first in ["a wake", &long] {
            let (mut one, _other) = pair();
            fail_here(SENDING, errno, 1);
            send(&mut one, first);
            assert_eq!(one.fault(), Some(Fault { call: SENDING, errno }));
            assert!(matches!(one.flush(), Err(Error::Fault(_))));
        }
        let (mut one, _other) = pair();
        one.send(Kind::Text, payload(&long), None).unwrap();
        fail_here(SENDING, errno, 1);
        send(&mut one, "a switch");
        assert_eq!(one.fault(), Some(Fault { call: SENDING, errno }));
        let (mut one, _other) = pair();
        fail_here(SENDING, libc::ENOMEM, 1);
        send(&mut one, &long);
        fail_here(SENDING, errno, 1);
        assert!(matches!(one.flush(), Err(Error::Fault(fault)) if fault.errno == errno));
    }
}

#[test]
fn a_descriptor_that_can_not_be_sent_is_the_fault_of_its_message() {
    for errno in FAULTS {
        let (mut one, mut other) = pair();
        let (cargo, _end) = lane::stream_pair().unwrap();
        fail_here(SENDING, errno, 1);
        let handle = Some((HandleType::PipeSocket, cargo));
        let refused = one.send(Kind::Text, payload("handle"), handle);
        assert!(matches!(refused, Err(Error::Fault(fault)) if fault.errno == errno));
        fail_here(SENDING, libc::ENOBUFS, 1);
        let _end = send_handle(&mut one, "queued");
        send(&mut one, "behind");
        fail_here(SENDING, errno, 1);
        assert_eq!(one.flush().unwrap().refused, Some(Fault { call: SENDING, errno }));
        assert_eq!(one.flush().unwrap().messages, 1);
        assert!(one.fault().is_none() && one.is_idle());
        let mut messages = Vec::new();
        receive(&mut other, &mut messages).unwrap();
        let kinds: Vec<_> = messages.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::Refused, Kind::Text], "both ends count the same messages");
        assert_eq!(texts(&messages)[1], "behind");
        assert_eq!(one.sender.counters.messages(), 2);
    }
}

#[test]
fn what_has_gone_before_a_failure_is_told_of_first() {
    for errno in GONE {
        let (mut one, _other) = pair();
        fail_here(SENDING, libc::ENOBUFS, 1);
        send(&mut one, &"x".repeat(LONGEST_IN_MEMORY + 1));
        let _end = send_handle(&mut one, "handle");
        // A handle begins a write of its own.
        fail_here_after(SENDING, errno, 1, 2);
        assert_eq!(one.flush().unwrap().messages, 1, "errno {errno}");
        assert!(matches!(one.flush(), Err(Error::Gone)));
    }
}

#[test]
fn a_read_that_meets_a_shortage_is_made_again() {
    for errno in SHORTAGES {
        let (mut one, mut other) = pair();
        let _end = send_handle(&mut one, "by stream");
        fail_here(RECEIVING, errno, 1);
        assert!(received(&mut other).is_empty());
        assert!(other.receives_later(), "errno {errno}");
        assert_eq!(received(&mut other), ["by stream"]);
        assert!(!other.receives_later());
    }
}

#[test]
fn a_read_that_fails_otherwise_is_a_fault_after_what_has_come() {
    for errno in FAULTS {
        let (mut one, mut other) = pair();
        send(&mut one, "by memory");
        fail_here(RECEIVING, errno, 1);
        let mut messages = Vec::new();
        let fault = receive(&mut other, &mut messages).unwrap_err();
        assert!(matches!(fault, Error::Fault(fault) if fault == Fault { call: RECEIVING, errno }));
        assert_eq!(texts(&messages), ["by memory"]);
    }
}

#[test]
fn last_words_wait_for_the_end_of_a_shortage_but_not_forever() {
    let long = "x".repeat(LONGEST_IN_MEMORY + 1);
    let (mut one, mut other) = pair();
    fail_here(SENDING, libc::ENOBUFS, 3);
    send(&mut one, &long);
    assert!(one.flush_on_exit(Duration::from_secs(10)));
    assert_eq!(received(&mut other), [long.as_str()]);
    fail_here(SENDING, libc::ENOBUFS, 1000);
    send(&mut one, &long);
    assert!(!one.flush_on_exit(Duration::from_millis(50)));
    assert!(inject::forget(std::thread::current().id()) > 0);
}

#[test]
fn a_channel_that_can_not_be_shut_down_is_a_fault() {
    for errno in FAULTS {
        let (one, _other) = pair();
        fail_here(Call::Shutdown(Lane::Ipc), errno, 1);
        assert!(matches!(one.shutdown(), Err(Error::Fault(fault)) if fault.errno == errno));
    }
    let (one, _other) = pair();
    fail_here(Call::Shutdown(Lane::Ipc), libc::ENOTCONN, 1);
    one.shutdown().unwrap();
}

#[test]
fn without_memory_all_goes_by_the_stream() {
    let (one, other) = lane::stream_pair().unwrap();
    let end = |stream| Channel::new(stream, Ring::unshared().unwrap());
    let (mut one, mut other) = (end(one), end(other));
    let mut messages = Vec::new();
    let mut cargoes = Vec::new();
    for round in 0..3 {
        send(&mut one, "short");
        cargoes.push(send_handle(&mut one, "with a handle"));
        send(&mut one, &"long".repeat(10_000 * round));
        while !one.is_idle() {
            receive(&mut other, &mut messages).unwrap();
            one.flush().unwrap();
        }
        assert_eq!(receive(&mut other, &mut messages).unwrap(), Reading::Open);
        assert_eq!(other.rest().unwrap(), Rest::Asleep);
    }
    assert_eq!(messages.len(), 9);
    assert!(messages[1].handle.is_some());
    assert_eq!(messages[8].payload.len(), 80_000);
    drop(one);
    assert_eq!(receive(&mut other, &mut messages).unwrap(), Reading::Ended);
}

#[test]
fn a_switch_to_memory_that_is_not_there_is_an_error() {
    let (stream, theirs) = lane::stream_pair().unwrap();
    let mut channel = Channel::new(theirs, Ring::unshared().unwrap());
    let switch = frame::header(Kind::Switch, None, 0).unwrap();
    lane::send(&stream, &[IoSlice::new(&switch)], None).unwrap();
    assert!(matches!(receive(&mut channel, &mut Vec::new()), Err(Error::Memory)));
}

use std::{net::TcpListener, os::fd::AsFd, thread};

use super::*;
use crate::protocol::control::Target;

const SOON: Duration = Duration::from_millis(50);

fn say(lane: &OwnedFd, message: &ToSuccessor, descriptor: Option<&OwnedFd>) {
    let packet = encode(message).unwrap();
    lane::send_packet(lane, &packet, descriptor.map(AsFd::as_fd)).unwrap();
}

fn hear(lane: &OwnedFd) -> ToPredecessor {
    lane::wait_readable(lane);
    let packet = lane::receive_whole_packet(lane, MAX_PACKET).unwrap();
    decode(&packet.bytes, packet.length).unwrap()
}

fn welcome() -> ToSuccessor {
    let (version, node) = ("0.1.0".into(), "v20.20.2".into());
    ToSuccessor::Welcome { protocol: 1, version, node, pid: 7, generation: 4 }
}

fn listening() -> OwnedFd {
    TcpListener::bind("127.0.0.1:0").unwrap().into()
}

fn listener(id: ListenerId, sockets: u32) -> ToSuccessor {
    ToSuccessor::Listener(Listener {
        listener: id,
        query: Query::new(Target::Tcp { address: None, port: 80 }),
        address: None,
        data: None,
        has_file: false,
        is_activated: false,
        is_unserved: false,
        sockets,
    })
}

/// What comes of it if the old primary does this after the hello. Its end of the lane is returned, if it is open.
fn offered(
    within: Duration,
    play: impl FnOnce(&OwnedFd) + Send + 'static,
) -> (Result<Offer, TakeoverError>, OwnedFd) {
    let (ours, theirs) = lane::packet_pair().unwrap();
    let old = thread::spawn(move || {
        let hello = hear(&theirs);
        assert!(matches!(hello, ToPredecessor::Hello { oldest: 1, newest: 1, .. }), "{hello:?}");
        play(&theirs);
        theirs
    });
    let result = receive_offer(ours, "0.2.0", "v22.0.0", within);
    (result, old.join().unwrap())
}

fn refused(play: impl FnOnce(&OwnedFd) + Send + 'static) -> String {
    offered(PATIENCE, play).0.unwrap_err().to_string()
}

#[test]
fn what_is_offered_is_received() {
    let (result, _lane) = offered(PATIENCE, |lane| {
        say(lane, &welcome(), None);
        say(lane, &listener(3, 2), None);
        say(lane, &listener(4, 0), None);
        for _ in 0..2 {
            say(lane, &ToSuccessor::Socket { listener: 3 }, Some(&listening()));
        }
        let operator =
            ToSuccessor::Operator { kind: OperatorKind::Admin, address: "127.0.0.1:9".into() };
        say(lane, &operator, Some(&listening()));
        let keys = vec![TicketKey { key: String::from("00").into(), made: 1 }];
        say(lane, &ToSuccessor::TicketKeys { keys }, None);
        let (parent, _) = lane::packet_pair().unwrap();
        say(lane, &ToSuccessor::Parent, Some(&parent));
        say(lane, &ToSuccessor::Offered, None);
    });
    let offer = result.unwrap();
    assert_eq!(offer.predecessor.pid, 7);
    assert_eq!(offer.predecessor.generation, 4);
    let sockets = offer.listeners.iter().map(|(it, sockets)| (it.listener, sockets.len()));
    assert_eq!(sockets.collect::<Vec<_>>(), [(3, 2), (4, 0)]);
    assert_eq!(offer.operators[0].address, "127.0.0.1:9");
    assert_eq!(offer.ticket_keys.len(), 1);
    assert!(offer.parent.is_some());
}

#[test]
fn an_old_primary_that_goes_or_refuses_is_named() {
    let ended = "the old primary has ended before it had offered everything";
    let end = |lane: &OwnedFd| lane::shutdown(lane, sys::lane::Lane::Control).unwrap();
    assert_eq!(refused(end), ended);
    assert_eq!(
        refused(move |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 1), None);
            end(lane);
        }),
        ended
    );
    let refusal = ToSuccessor::Refused { reason: "there is no common version".into() };
    assert_eq!(
        refused(move |lane| say(lane, &refusal, None)),
        "the old primary refuses: there is no common version"
    );
}

#[test]
fn an_old_primary_that_says_nothing_is_not_waited_for() {
    let (result, lane) = offered(SOON, |_| {});
    let wanted = "the old primary has not offered everything within 50 ms";
    assert_eq!(result.unwrap_err().to_string(), wanted);
    assert_eq!(hear(&lane), ToPredecessor::Failed { reason: wanted.into() });
}

#[test]
fn an_offer_without_end_is_given_up() {
    let (result, _lane) = offered(PATIENCE, |lane| {
        say(lane, &welcome(), None);
        let keys = vec![TicketKey { key: "0".repeat(60_000).into(), made: 1 }];
        let packet = encode(&ToSuccessor::TicketKeys { keys }).unwrap();
        loop {
            match lane::send_packet(lane, &packet, None) {
                Ok(()) => {}
                Err(Failure::WouldBlock) => _ = lane::wait_writable(lane, PATIENCE),
                Err(_) => break,
            }
        }
    });
    assert!(result.unwrap_err().to_string().contains("more than 67108864 bytes"));
}

#[test]
fn what_is_no_offer_is_an_error_that_the_old_primary_hears_of() {
    type Play = fn(&OwnedFd);
    let cases: [(&str, Play); 14] = [
        ("invalid data from the old primary", |lane| {
            lane::send_packet(lane, b"{\"act\":", None).unwrap();
        }),
        ("invalid data from the old primary", |lane| {
            lane::send_packet(lane, b"", None).unwrap();
        }),
        ("65537 bytes", |lane| {
            lane::send_packet(lane, &[b' '; MAX_PACKET + 1], None).unwrap();
        }),
        ("a listener before a welcome", |lane| say(lane, &listener(3, 1), None)),
        ("a welcome before everything was offered", |lane| {
            say(lane, &welcome(), None);
            say(lane, &welcome(), None);
        }),
        ("a commit before everything was offered", |lane| {
            say(lane, &welcome(), None);
            say(lane, &ToSuccessor::Commit, None);
        }),
        ("listener 3 twice", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 1), None);
            say(lane, &listener(3, 1), None);
        }),
        ("a listening socket without its descriptor", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 1), None);
            say(lane, &ToSuccessor::Socket { listener: 3 }, None);
        }),
        ("the end of the offer with a descriptor", |lane| {
            say(lane, &welcome(), None);
            say(lane, &ToSuccessor::Offered, Some(&listening()));
        }),
        ("a socket of listener 4, which there is not", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 1), None);
            say(lane, &ToSuccessor::Socket { listener: 4 }, Some(&listening()));
        }),
        ("too many sockets of listener 3", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 0), None);
            say(lane, &ToSuccessor::Socket { listener: 3 }, Some(&listening()));
        }),
        ("something else for a socket of listener 3", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 1), None);
            let file = std::fs::File::open("/dev/null").unwrap().into();
            say(lane, &ToSuccessor::Socket { listener: 3 }, Some(&file));
        }),
        ("too few sockets of", |lane| {
            say(lane, &welcome(), None);
            say(lane, &listener(3, 2), None);
            say(lane, &ToSuccessor::Socket { listener: 3 }, Some(&listening()));
            say(lane, &ToSuccessor::Offered, None);
        }),
        ("the protocol's version 9", |lane| {
            let (version, node) = Default::default();
            let protocol = 9;
            say(
                lane,
                &ToSuccessor::Welcome { protocol, version, node, pid: 1, generation: 1 },
                None,
            );
        }),
    ];
    for (wanted, play) in cases {
        let (result, lane) = offered(PATIENCE, play);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(hear(&lane), ToPredecessor::Failed { reason: error });
    }
}

#[test]
fn only_the_end_of_a_lane_is_claimed() {
    assert!(!claim(-1));
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(!claim(std::os::fd::AsRawFd::as_raw_fd(&file)));
    let (_, stream) = lane::stream_pair().unwrap();
    assert!(!claim(std::os::fd::AsRawFd::as_raw_fd(&stream)));
    let (_, lane) = lane::packet_pair().unwrap();
    assert!(claim(std::os::fd::IntoRawFd::into_raw_fd(lane)));
    assert!(claimed().is_some());
    assert!(claimed().is_none(), "it is there once");
}

#[test]
fn a_reason_is_cut_at_a_letter() {
    assert_eq!(shortened("añb", 2), "a");
    assert_eq!(shortened("añb", 3), "añ");
    assert_eq!(shortened("añb", 9), "añb");
}

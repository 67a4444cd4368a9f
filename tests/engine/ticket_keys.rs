//! The keys of TLS session tickets, and the workers that have asked for them.

use super::*;

/// Long enough for a few packets.
const PERIOD: Duration = Duration::from_millis(500);

fn keys(worker: &Worker) -> Vec<String> {
    wait_readable(worker.raw.as_fd());
    match worker.control.receive().expect("keys") {
        Received::TicketKeys(keys) => keys.iter().map(|key| key.reveal().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn workers_that_ask_get_the_same_keys_and_hear_when_these_change() {
    let settings = Settings { ticket_key_period: PERIOD, ..settings(Scheduling::RoundRobin) };
    let primary = Primary::start_with(settings, |_| {});
    let [mut one, mut other, silent] = [1, 2, 3].map(|id| primary.worker(id));
    one.send(&ToPrimary::TicketKeys, None);
    let first = keys(&one);
    assert_eq!(first.len(), 1);
    assert!(first[0].len() == 96 && first[0].bytes().all(|digit| digit.is_ascii_hexdigit()));
    let second = keys(&one);
    assert_eq!((second.len(), &second[1]), (2, &first[0]));
    assert_ne!(second[0], first[0]);
    other.send(&ToPrimary::TicketKeys, None);
    let third = keys(&one);
    assert_eq!((third.len(), &third[1]), (2, &second[0]));
    let mut heard = keys(&other);
    if heard == second {
        heard = keys(&other);
    }
    assert_eq!(heard, third);
    let its_reply = silent.raw.as_fd();
    assert!(!becomes_readable(its_reply, Duration::ZERO), "it has not asked");
}

#[test]
fn a_worker_that_asks_again_gets_them_again() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    worker.send(&ToPrimary::TicketKeys, None);
    worker.send(&ToPrimary::TicketKeys, None);
    assert_eq!(keys(&worker), keys(&worker));
    // What comes next is the reply to a request after those.
    worker.listen(0);
}

#[test]
fn a_worker_that_asks_without_end_and_does_not_read_is_at_fault() {
    let primary = Primary::start(Scheduling::RoundRobin);
    let mut worker = primary.worker(1);
    let faulted = loop {
        for _ in 0..64 {
            let _ = worker.control.send(&ToPrimary::TicketKeys, None);
        }
        if let Ok(event) = primary.events.try_recv() {
            break event;
        }
    };
    assert!(matches!(faulted, Event::Faulted { worker: 1, .. }), "{faulted:?}");
}

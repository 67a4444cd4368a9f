use tokio::io::Interest;

use super::*;
use crate::{
    protocol::{
        connection,
        control::{self, MAX_PACKET, Reply},
    },
    sys::{
        exit::Process,
        failure::Call,
        inject::{FAULTS, GONE, SHORTAGES, fail_here},
        lane::{self, Lane},
        ring::{self, Ring, Side},
        watched,
    },
};

const SENDING: Call = Call::Send(Lane::Control);
const HANDING: Call = Call::Send(Lane::HandOff);

/// The lanes of a worker, its end of the hand-off queue, and of the control socket.
fn lanes() -> (Rc<WorkerLanes>, OwnedFd, OwnedFd) {
    let (control, their_control) = lane::packet_pair().unwrap();
    let (queue, their_queue) = lane::packet_pair().unwrap();
    let control = watched::watch(control, Interest::READABLE | Interest::WRITABLE);
    let queue = Queue::watch(Rc::new(queue));
    let memory = ring::create().unwrap();
    let counters = Ring::map(memory, Side::Primary).unwrap().counters;
    let view = Arc::new(View::new(counters, their_queue.try_clone().unwrap()));
    let process = Process::watch(std::process::id().cast_signed()).unwrap();
    let (control, queue) = (control.ok().unwrap(), queue.ok().unwrap());
    let lanes = WorkerLanes::new(
        Arc::new(process),
        control,
        queue,
        WatchdogLane::new(None),
        view,
        Rc::default(),
        None,
    );
    (Rc::new(lanes), their_queue, their_control)
}

/// What the worker is told.
fn messages(control: &OwnedFd) -> Vec<ToWorker> {
    let packets = std::iter::from_fn(|| lane::receive_whole_packet(control, MAX_PACKET).ok());
    packets.map(|it| control::decode(&it.bytes, it.length).unwrap()).collect()
}

fn cargo() -> OwnedFd {
    lane::stream_pair().unwrap().0
}

fn take(queue: &OwnedFd) {
    lane::receive_fixed_packet(queue, &mut [0; connection::PACKET]).unwrap();
}

#[tokio::test]
async fn a_connection_counts_until_it_is_closed_or_taken_back() {
    let (lanes, queue, _control) = lanes();
    for _ in 0..3 {
        assert_eq!(lanes.hand_over(1, &cargo()), HandOver::Done);
    }
    take(&queue);
    assert_eq!((lanes.queued(), lanes.taken(), lanes.open()), (2, 1, 3));
    lanes.view.counters.add_closed();
    assert!(matches!(lanes.take_back(), TakenBack::Connection(1, _)));
    assert_eq!((lanes.queued(), lanes.taken(), lanes.open()), (1, 1, 1));
    for _ in 0..2 {
        lanes.view.counters.add_closed();
    }
    assert_eq!(lanes.open(), 0, "a worker that can't count");
}

#[tokio::test]
async fn messages_that_meet_a_shortage_are_sent_later_in_order() {
    for errno in SHORTAGES {
        let (lanes, _queue, control) = lanes();
        fail_here(SENDING, errno, 3);
        lanes.send(&ToWorker::Probe, None).unwrap();
        lanes.send(&ToWorker::Reply(Reply::default()), None).unwrap();
        lanes.set_accepting(true);
        assert!(messages(&control).is_empty());
        assert!(lanes.flush_at().unwrap() > Instant::now(), "errno {errno}");
        lanes.flush();
        let reply = ToWorker::Reply(Reply::default());
        assert_eq!(messages(&control), [ToWorker::Probe, reply, ToWorker::Resume]);
        assert!(lanes.flush_at().is_none() && lanes.take_fault().is_none());
    }
}

#[tokio::test]
async fn only_the_last_word_on_accepting_is_sent() {
    let (lanes, _queue, control) = lanes();
    fail_here(SENDING, libc::ENOBUFS, 3);
    [false, true, false].into_iter().for_each(|it| lanes.set_accepting(it));
    lanes.flush();
    assert_eq!(messages(&control), [ToWorker::Pause]);
}

#[tokio::test]
async fn messages_to_a_worker_that_is_gone_are_not_a_fault() {
    for errno in GONE {
        let (lanes, _queue, _control) = lanes();
        fail_here(SENDING, errno, 1);
        lanes.send(&ToWorker::Probe, None).unwrap();
        assert!(lanes.flush_at().is_none() && lanes.take_fault().is_none());
    }
}

#[tokio::test]
async fn a_message_that_fails_otherwise_is_a_fault_once() {
    for errno in FAULTS {
        let (lanes, _queue, _control) = lanes();
        fail_here(SENDING, errno, 1);
        lanes.set_accepting(true);
        assert_eq!(lanes.take_fault(), Some(Fault { call: SENDING, errno }));
        assert_eq!(lanes.take_fault(), None);
    }
}

#[tokio::test]
async fn each_failure_of_a_hand_over_has_its_outcome() {
    for errno in SHORTAGES {
        let (lanes, queue, _control) = lanes();
        fail_here(HANDING, errno, 1);
        assert_eq!(lanes.hand_over(1, &cargo()), HandOver::Full, "errno {errno}");
        assert!(lanes.full().unwrap() > Instant::now());
        lanes.set_drained();
        assert_eq!(lanes.hand_over(1, &cargo()), HandOver::Done);
        take(&queue);
    }
    let (full, _queue, _control) = lanes();
    fail_here(HANDING, libc::EAGAIN, 1);
    assert_eq!(full.hand_over(1, &cargo()), HandOver::Full);
    assert!(full.full().is_some());
    for errno in GONE.into_iter().chain(FAULTS) {
        let (lanes, _queue, _control) = lanes();
        fail_here(HANDING, errno, 1);
        assert_eq!(lanes.hand_over(1, &cargo()), HandOver::Lost);
        // The queue can't end while its other end is the engine's as well.
        let reported = if GONE.contains(&errno) { libc::EPIPE } else { errno };
        assert_eq!(lanes.take_fault(), Some(Fault { call: HANDING, errno: reported }));
    }
}

#[tokio::test]
async fn each_failure_of_taking_back_has_its_outcome() {
    const TAKING_BACK: Call = Call::Receive(Lane::HandOff);
    let (lanes, _queue, _control) = lanes();
    assert_eq!(lanes.hand_over(1, &cargo()), HandOver::Done);
    for errno in SHORTAGES {
        fail_here(TAKING_BACK, errno, 1);
        assert!(matches!(lanes.take_back(), TakenBack::Later), "errno {errno}");
    }
    for (errno, count) in GONE.map(|errno| (errno, 2)).into_iter().chain([(libc::EAGAIN, 1)]) {
        fail_here(TAKING_BACK, errno, count);
        assert!(matches!(lanes.take_back(), TakenBack::Nothing), "errno {errno}");
    }
    for errno in FAULTS {
        fail_here(TAKING_BACK, errno, 1);
        assert!(matches!(lanes.take_back(), TakenBack::Nothing));
        assert_eq!(lanes.take_fault(), Some(Fault { call: TAKING_BACK, errno }));
    }
    assert!(matches!(lanes.take_back(), TakenBack::Connection(1, _)));
}

//! System calls of the engine's thread fail as the test plans, by the feature `inject`.

use std::{sync::mpsc::RecvTimeoutError, thread::ThreadId, time::Duration};

use rs_cluster::sys::{
    failure::{Call, Fault},
    inject::{FAULTS, GONE, SHORTAGES, fail_in, forget},
    lane::Lane,
};

use super::*;

const ORDERING: Call = Call::Send(Lane::Control);
const HANDING: Call = Call::Send(Lane::HandOff);
const HEARING: Call = Call::Receive(Lane::Control);
const TAKING_BACK: Call = Call::Receive(Lane::HandOff);

/// Makes the engine's next `count` calls fail, after what it does now.
fn fail(primary: &Primary, call: Call, errno: i32, count: usize) {
    primary.barrier();
    fail_in(thread_of(primary), call, errno, count);
}

/// Expects that the worker serves the next client.
fn expect_served(port: u16, worker: &Worker) {
    let client = connect(port);
    worker.serve();
    assert_eq!(served_by(client), worker.id);
}

fn thread_of(primary: &Primary) -> ThreadId {
    *primary.thread.get().expect("an engine that has run")
}

/// Checks that all planned failures have happened.
fn all_have_failed(primary: &Primary) {
    assert_eq!(forget(thread_of(primary)), 0, "a call was not made as often as it was to fail");
}

/// Expects that the engine reports this worker, and says which call has failed, and how.
fn expect_fault(primary: &Primary, id: WorkerId, call: Call, errno: i32) {
    match primary.event() {
        Event::Faulted { worker, error: Error::Fault(fault) } => {
            assert_eq!((worker, fault), (id, Fault { call, errno }));
        }
        other => panic!("{other:?}"),
    }
    let again = primary.events.recv_timeout(Duration::from_millis(30));
    assert!(matches!(again, Err(RecvTimeoutError::Timeout)), "{again:?}");
}

#[test]
fn a_reply_that_meets_a_shortage_comes_later() {
    for errno in SHORTAGES {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        fail(&primary, ORDERING, errno, 3);
        let (_, port) = worker.listen(0);
        all_have_failed(&primary);
        expect_served(port, &worker);
    }
}

#[test]
fn a_probe_that_meets_a_shortage_comes_later() {
    for errno in SHORTAGES {
        let (primary, [_stuck, mut free], port) = two_that_serve(Scheduling::RoundRobin);
        fail(&primary, ORDERING, errno, 2);
        let clients = [connect(port), connect(port)];
        free.serve();
        free.answer_probe();
        free.serve();
        all_have_failed(&primary);
        assert!(clients.into_iter().all(|client| served_by(client) == 2));
    }
}

#[test]
fn an_order_that_fails_otherwise_is_a_fault_of_its_worker() {
    for errno in FAULTS {
        let (primary, [mut one, other], port) = two_that_serve(Scheduling::RoundRobin);
        fail(&primary, ORDERING, errno, 1);
        let query = Query::new(Target::Tcp { address: None, port: 0 });
        one.send(&ToPrimary::Listen { seq: 9, query, data: None, is_http: false }, None);
        expect_fault(&primary, 1, ORDERING, errno);
        all_have_failed(&primary);
        for client in [connect(port), connect(port)] {
            other.serve();
            assert_eq!(served_by(client), 2);
        }
    }
}

#[test]
fn a_request_that_meets_a_shortage_is_heard_later() {
    for errno in SHORTAGES {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        fail(&primary, HEARING, errno, 3);
        worker.listen(0);
        all_have_failed(&primary);
    }
}

#[test]
fn a_control_socket_that_can_not_be_read_is_a_fault_of_its_worker() {
    for errno in FAULTS {
        let (primary, [mut one, other], port) = two_that_serve(Scheduling::RoundRobin);
        fail(&primary, HEARING, errno, 1);
        one.send(&ToPrimary::Alive, None);
        expect_fault(&primary, 1, HEARING, errno);
        expect_served(port, &other);
    }
}

#[test]
fn the_end_of_a_control_socket_is_followed_by_the_exit() {
    for errno in GONE {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        fail(&primary, HEARING, errno, 2);
        worker.send(&ToPrimary::Alive, None);
        drop(worker.stdin.take());
        primary.expect_exit(1, Exit::Code(0));
        all_have_failed(&primary);
    }
}

#[test]
fn a_hand_over_that_meets_a_shortage_is_made_later_or_to_another() {
    for errno in SHORTAGES {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        let (_, port) = worker.listen(0);
        fail(&primary, HANDING, errno, 2);
        expect_served(port, &worker);
        all_have_failed(&primary);
    }
}

#[test]
fn a_hand_over_that_fails_otherwise_is_a_fault_and_another_gets_the_connection() {
    for errno in GONE.into_iter().chain(FAULTS) {
        let (primary, [_one, other], port) = two_that_serve(Scheduling::RoundRobin);
        fail(&primary, HANDING, errno, 1);
        expect_served(port, &other);
        // The queue can't end, because the engine has both of its ends.
        let reported = if GONE.contains(&errno) { libc::EPIPE } else { errno };
        expect_fault(&primary, 1, HANDING, reported);
    }
}

#[test]
fn what_can_not_be_taken_back_for_a_shortage_is_taken_back_later() {
    for errno in SHORTAGES {
        for dies in [false, true] {
            let (primary, [one, other], port) = two_that_serve(Scheduling::RoundRobin);
            let client = connect(port);
            wait_readable(one.polled.as_fd());
            fail(&primary, TAKING_BACK, errno, 3);
            if dies {
                one.kill();
                primary.expect_exit(1, Exit::Signal(9));
            } else {
                primary.command(Command::Pause(1));
            }
            other.serve();
            all_have_failed(&primary);
            assert_eq!(served_by(client), 2);
        }
    }
}

#[test]
fn a_hand_off_queue_that_can_not_be_taken_back_from_is_a_fault() {
    for errno in FAULTS {
        let (primary, [one, _other], port) = two_that_serve(Scheduling::RoundRobin);
        let _client = connect(port);
        wait_readable(one.polled.as_fd());
        fail(&primary, TAKING_BACK, errno, 1);
        primary.command(Command::Pause(1));
        expect_fault(&primary, 1, TAKING_BACK, errno);
    }
}

#[test]
fn a_connection_that_can_not_be_accepted_waits_with_a_warning() {
    let shortages = SHORTAGES.map(|errno| (errno, 4));
    // EPERM is not among them, because it is about a single connection.
    let faults = [libc::EINVAL, libc::EBADF, libc::ENOTSOCK].map(|errno| (errno, 2));
    for (errno, count) in shortages.into_iter().chain(faults) {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        let (_, port) = worker.listen(0);
        fail(&primary, Call::Accept, errno, count);
        expect_served(port, &worker);
        all_have_failed(&primary);
        match primary.event() {
            Event::Unaccepted { error, .. } => assert_eq!(error.raw_os_error(), Some(errno)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_connection_that_has_failed_before_it_was_accepted_is_passed_over() {
    for errno in [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::EHOSTUNREACH] {
        let primary = Primary::start(Scheduling::RoundRobin);
        let mut worker = primary.worker(1);
        let (_, port) = worker.listen(0);
        fail(&primary, Call::Accept, errno, 1);
        expect_served(port, &worker);
        all_have_failed(&primary);
    }
}

#[test]
fn what_can_not_be_watched_for_a_shortage_is_watched_later() {
    for errno in SHORTAGES.into_iter().chain([libc::ENOSPC]) {
        let primary = Primary::start(Scheduling::ReusePort);
        fail(&primary, Call::Watch, errno, 4);
        let mut worker = primary.worker(1);
        let (_, port, socket) = worker.listen_own(0);
        all_have_failed(&primary);
        let mut next = primary.worker(2);
        fail(&primary, Call::Watch, errno, 2);
        primary.command(Command::Pause(1));
        next.listen_own(port);
        // Some connections come to the own socket of the next worker.
        let mut clients = vec![connect(port)];
        while !becomes_readable(next.polled.as_fd(), Duration::from_millis(500)) {
            assert!(clients.len() < 40, "nothing is handed over");
            clients.push(connect(port));
        }
        next.serve();
        let served = first_readable(&clients.iter().map(AsFd::as_fd).collect::<Vec<_>>());
        assert_eq!(served_by(clients.swap_remove(served)), 2);
        drop(socket);
        forget(thread_of(&primary));
    }
}

#[test]
fn a_worker_that_can_not_be_watched_is_ended_and_reported() {
    for errno in FAULTS {
        let primary = Primary::start(Scheduling::RoundRobin);
        fail(&primary, Call::Watch, errno, 1);
        let _worker = primary.worker(1);
        match primary.event() {
            Event::Faulted { worker: 1, error: Error::Fault(fault) } => {
                assert_eq!(fault, Fault { call: Call::Watch, errno });
            }
            other => panic!("{other:?}"),
        }
        primary.expect_exit(1, Exit::Signal(9));
    }
}

#[test]
fn a_worker_that_sends_garbage_is_reported_even_if_its_control_socket_can_not_be_shut_down() {
    for errno in FAULTS {
        let primary = Primary::start(Scheduling::RoundRobin);
        let worker = primary.worker(1);
        fail(&primary, Call::Shutdown(Lane::Control), errno, 1);
        lane::send_packet(&worker.raw, b"garbage", None).expect("a packet");
        let event = primary.event();
        assert!(
            matches!(event, Event::Faulted { worker: 1, error: Error::Control(_) }),
            "{event:?}"
        );
        all_have_failed(&primary);
    }
}

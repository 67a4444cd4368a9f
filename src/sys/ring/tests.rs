use std::sync::atomic::Ordering;

use super::*;
use crate::protocol::control::COUNTER_SLOTS;

fn pair() -> (Ring, Ring) {
    let memory = create().unwrap();
    let map = |side| Ring::map(&memory, side).unwrap();
    (map(Side::Primary), map(Side::Worker))
}

fn read(reader: &mut Reader) -> Vec<u8> {
    let mut bytes = vec![0; reader.unread().unwrap()];
    reader.peek(&mut bytes);
    reader.take(bytes.len());
    bytes
}

#[test]
fn what_one_writes_the_other_reads_in_both_directions() {
    let (mut primary, mut worker) = pair();
    assert!(primary.writer.write(&[b"to", b"gether"]));
    assert!(worker.writer.write(&[b"back"]));
    assert_eq!(read(&mut worker.reader), b"together");
    assert_eq!(read(&mut primary.reader), b"back");
    assert_eq!(read(&mut primary.reader), b"");
}

#[test]
fn what_does_not_fit_whole_is_not_written() {
    let (mut primary, mut worker) = pair();
    let block = [7; CAPACITY - 1];
    assert!(primary.writer.write(&[&block]));
    assert!(!primary.writer.write(&[b"two"]));
    assert!(primary.writer.write(&[b"1"]));
    assert!(!primary.writer.write(&[b"1"]));
    assert_eq!(worker.reader.unread(), Ok(CAPACITY));
    worker.reader.take(CAPACITY);
    assert!(primary.writer.write(&[&block]));
}

#[test]
fn bytes_stay_in_order_around_the_end_of_the_memory_and_of_the_counters() {
    let (mut primary, mut worker) = pair();
    for end in [&mut primary.writer.position, &mut worker.reader.position] {
        *end = u32::MAX - 5000;
    }
    let positions = primary.writer.end.positions();
    positions.writer.position.store(u32::MAX - 5000, Ordering::Relaxed);
    positions.reader.position.store(u32::MAX - 5000, Ordering::Relaxed);
    for round in 0..3000u32 {
        let bytes: Vec<u8> = (0..round % 700).map(|byte| (byte + round) as u8).collect();
        assert!(primary.writer.write(&[&bytes]));
        assert_eq!(read(&mut worker.reader), bytes);
    }
}

#[test]
fn a_sleeping_reader_is_to_be_woken_once() {
    let (mut primary, worker) = pair();
    assert!(primary.writer.must_wake(), "it has not begun yet");
    assert!(!primary.writer.must_wake());
    assert_eq!(worker.reader.sleep(), Ok(true));
    assert!(primary.writer.write(&[b"!"]));
    assert!(primary.writer.must_wake());
    assert!(!primary.writer.must_wake());
    assert_eq!(worker.reader.sleep(), Ok(false), "there is something to read");
    assert!(!primary.writer.must_wake());
}

#[test]
fn positions_that_make_no_sense_are_an_error_to_the_reader_and_no_room_to_the_writer() {
    let (mut primary, worker) = pair();
    let positions = primary.writer.end.positions();
    positions.writer.position.store(CAPACITY as u32 + 1, Ordering::Relaxed);
    assert_eq!(worker.reader.unread(), Err(Corrupt));
    assert_eq!(worker.reader.sleep(), Err(Corrupt));
    positions.reader.position.store(1, Ordering::Relaxed);
    assert!(!primary.writer.write(&[b"!"]));
}

#[test]
fn what_the_worker_counts_the_primary_sees() {
    let (primary, worker) = pair();
    assert_eq!(primary.counters.closed(), 0);
    worker.counters.add_closed();
    worker.counters.add_closed();
    assert_eq!(primary.counters.closed(), 2);
    worker.counters.add_taken();
    for slot in [Some(0), Some(COUNTER_SLOTS as u8 - 1), Some(0), Some(COUNTER_SLOTS as u8), None] {
        worker.counters.add_accepted(slot);
    }
    assert_eq!((primary.counters.taken(), primary.counters.accepted()), (1, 5));
    let at = |slot| primary.counters.accepted_at(slot);
    assert_eq!((at(Some(0)), at(Some(63)), at(Some(64)), at(None)), (2, 1, 0, 0));
}

#[test]
fn the_memory_can_not_shrink_and_other_files_are_refused() {
    let memory = create().unwrap();
    assert!(nix::unistd::ftruncate(&memory, 0).is_err());
    let other = std::fs::File::open("/dev/null").unwrap();
    let refused = Ring::map(&other, Side::Worker).err().unwrap();
    assert_eq!(refused.raw_os_error(), Some(libc::EPROTOTYPE));
}

#[test]
fn the_primary_sees_how_many_requests_the_worker_has_counted() {
    let memory = create().unwrap();
    let theirs = Ring::map(memory.try_clone().unwrap(), Side::Worker).unwrap();
    let ours = Ring::map(memory, Side::Primary).unwrap();
    assert_eq!(ours.counters.requests(), 0);
    (0..3).for_each(|_| theirs.counters.add_request());
    assert_eq!(ours.counters.requests(), 3);
}

#[test]
fn two_threads_exchange_all_without_losing_a_wake() {
    let memory = create().unwrap();
    let theirs = memory.try_clone().unwrap();
    let (wake, woken) = std::sync::mpsc::channel();
    let total = 2_000_000u32;
    let writing = std::thread::spawn(move || {
        let mut ring = Ring::map(theirs, Side::Worker).unwrap();
        let mut number = 0u32;
        while number < total {
            if ring.writer.write(&[&number.to_le_bytes()]) {
                number += 1;
                if ring.writer.must_wake() {
                    wake.send(()).unwrap();
                }
            } else {
                std::thread::yield_now();
            }
        }
    });
    let mut ring = Ring::map(memory, Side::Primary).unwrap();
    let mut expected = 0u32;
    while expected < total {
        for number in read(&mut ring.reader).chunks(4) {
            assert_eq!(number, expected.to_le_bytes());
            expected += 1;
        }
        if expected < total && ring.reader.sleep().unwrap() {
            woken.recv_timeout(std::time::Duration::from_secs(20)).expect("a wake");
        }
    }
    writing.join().unwrap();
}

#[test]
fn the_beat_is_odd_while_the_event_loop_polls_and_changes_with_each_step() {
    let (primary, worker) = pair();
    assert_eq!(primary.counters.beat(), 0);
    let mut before = 0;
    for is_polling in [true, false, true, true, false, false, true] {
        match is_polling {
            true => worker.counters.begin_poll(),
            false => worker.counters.end_poll(),
        }
        let beat = primary.counters.beat();
        assert!(beat > before && (beat % 2 == 1) == is_polling, "{before} {beat}");
        before = beat;
    }
}

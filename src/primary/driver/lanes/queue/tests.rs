use std::{future::Future, io::Write};

use tokio::time::timeout;

use super::*;
use crate::{
    protocol::connection::{PACKET, encode},
    sys::{
        failure::Call,
        inject::fail_here,
        lane::{self, WINDOW},
    },
};

/// Longer than anything takes that is about to happen.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// A queue, with the worker's end.
fn queue() -> (Queue, OwnedFd) {
    let (ours, theirs) = lane::packet_pair().unwrap();
    lane::limit_send_buffer(&ours, WINDOW).unwrap();
    (Queue::watch(Rc::new(ours)).ok().unwrap(), theirs)
}

/// Sends connections until the queue is full. Returns how many it has taken.
fn fill(queue: &Queue) -> usize {
    let (connection, _other) = lane::stream_pair().unwrap();
    let send = || lane::send_fixed_packet(queue, &encode(1), Some(connection.as_fd()));
    let sent = (0..).take_while(|_| send().is_ok()).count();
    assert_eq!(send(), Err(Failure::WouldBlock));
    queue.show_full();
    sent
}

fn take(theirs: &OwnedFd, count: usize) {
    for _ in 0..count {
        lane::receive_fixed_packet(theirs, &mut [0; PACKET]).unwrap();
    }
}

async fn is_pending(future: impl Future) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = look() => true,
    }
}

/// Waits until the runtime has looked at all descriptors: it has seen that one is readable, twice, because the first
/// time it may have looked before something else happened.
async fn look() {
    for _ in 0..2 {
        // Not watched as the queue is, so that it takes no failure that is meant for the queue.
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = tokio::net::UnixStream::from_std(ours).unwrap();
        theirs.write_all(&[1]).unwrap();
        timeout(LONG, ours.readable()).await.unwrap().unwrap();
    }
}

/// Whether the kernel wakes this thread when there is room.
#[cfg(target_os = "linux")]
fn wakes_for_room(queue: &Queue) -> bool {
    use std::{fs, os::fd::AsRawFd};
    let fd = queue.as_fd().as_raw_fd().to_string();
    let watches = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let mut watches = watches.filter_map(|it| fs::read_to_string(it.path()).ok());
    watches.any(|watch| {
        watch.lines().filter_map(|it| it.strip_prefix("tfd:")).any(|line| {
            let mut words = line.split_ascii_whitespace();
            let is_it = words.next() == Some(&fd);
            let events = words.nth(1).map_or(0, |it| u32::from_str_radix(it, 16).unwrap_or(0));
            is_it && events & libc::EPOLLOUT.cast_unsigned() != 0
        })
    })
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn only_a_queue_that_was_full_wakes_the_engine_for_room() {
    let (queue, theirs) = queue();
    assert!(!wakes_for_room(&queue));
    let count = fill(&queue);
    queue.watch_room();
    assert!(wakes_for_room(&queue));
    take(&theirs, count);
    queue.has_room(Instant::now()).await;
    assert!(wakes_for_room(&queue), "it may soon be full again");
    queue.unwatch_room();
    assert!(!wakes_for_room(&queue));
}

#[tokio::test]
async fn room_is_found_each_time_that_there_is_some() {
    let (queue, theirs) = queue();
    // The second time it is watched already.
    for _ in 0..3 {
        let count = fill(&queue);
        queue.watch_room();
        assert!(is_pending(queue.has_room(Instant::now())).await);
        take(&theirs, count);
        timeout(LONG, queue.has_room(Instant::now())).await.unwrap();
    }
}

#[tokio::test]
async fn room_that_came_before_it_was_watched_for_is_found() {
    let (queue, theirs) = queue();
    for _ in 0..2 {
        let count = fill(&queue);
        take(&theirs, count);
        look().await;
        queue.watch_room();
        timeout(LONG, queue.has_room(Instant::now())).await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_watched_for_room_is_tried_again_after_a_pause() {
    let (queue, _theirs) = queue();
    fill(&queue);
    fail_here(Call::Watch, libc::ENOMEM, 1);
    queue.watch_room();
    let since = Instant::now();
    timeout(LONG, queue.has_room(since)).await.unwrap();
    assert!(since.elapsed() >= SHORTAGE_PAUSE);
    queue.watch_room();
    assert!(is_pending(queue.has_room(Instant::now())).await);
}

#[tokio::test]
async fn misuse_is_noticed_whatever_the_queue_is_watched_for() {
    for is_short in [false, true] {
        for is_full in [false, true] {
            let (queue, theirs) = queue();
            if is_full {
                fill(&queue);
                queue.watch_room();
            }
            if is_short {
                fail_here(Call::Watch, libc::ENOMEM, 2);
                queue.unwatch_room();
            }
            assert!(is_pending(queue.ended()).await);
            lane::send_fixed_packet(&theirs, &encode(1), None).unwrap();
            assert_eq!(timeout(LONG, queue.ended()).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_queue_that_the_kernel_refuses_to_watch_has_ended() {
    let (queue, _theirs) = queue();
    fill(&queue);
    fail_here(Call::Watch, libc::EPERM, 1);
    queue.watch_room();
    let fault = timeout(LONG, queue.ended()).await.unwrap().unwrap();
    assert_eq!((fault.call, fault.errno), (Call::Watch, libc::EPERM));
}

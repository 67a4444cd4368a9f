//! When a Unix socket of any process closes, the kernel treats sockets that only messages in flight
//! refer to as garbage, and ends them (`unp_gc`). So the sender keeps a descriptor open until the
//! receiver has it.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    event::{EventFilter, FilterFlag},
    socket::{getsockopt, sockopt::SndBuf},
};

use super::{queue::Queue, socket::is_listening};

/// Descriptors in flight on one lane whose waiting packets are counted.
#[derive(Debug, Default)]
pub struct Transit(RefCell<VecDeque<OwnedFd>>);

impl Transit {
    /// Keeps a duplicate of a descriptor that was just sent on the lane.
    pub fn keep(&self, descriptor: BorrowedFd<'_>) {
        // Without a free number, the descriptor is not kept.
        self.0.borrow_mut().extend(descriptor.try_clone_to_owned());
    }

    /// Closes what has been received. `waiting` returns how many packets are still in the lane. The
    /// kernel removes a packet after its descriptor (`soreceive`).
    pub fn release_received(&self, waiting: impl FnOnce() -> usize) {
        let mut kept = self.0.borrow_mut();
        if !kept.is_empty() {
            let waiting = waiting();
            while kept.len() > waiting {
                kept.pop_front();
            }
        }
    }
}

/// How often the thread checks whether descriptors have been received.
const LOOK: Duration = Duration::from_millis(2);

/// How long a descriptor is kept at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Enough for this thread, which does very little.
const STACK: usize = 64 * 1024;

/// A descriptor in flight on a lane whose waiting packets are not counted.
struct Kept {
    lane: OwnedFd,
    #[expect(dead_code, reason = "is there, until it is dropped")]
    descriptor: OwnedFd,
    until: Instant,
}

impl Kept {
    /// Whether the peer has read everything in the lane, or will read no more.
    fn has_arrived(&self) -> bool {
        Instant::now() >= self.until || is_drained(&self.lane).unwrap_or(false)
    }
}

fn is_drained(lane: &OwnedFd) -> io::Result<bool> {
    let queue = Queue::new()?;
    let ident = lane.as_raw_fd().unsigned_abs() as usize;
    queue.watch(ident, EventFilter::EVFILT_WRITE, FilterFlag::empty(), 0)?;
    let Some(event) = queue.next(false)? else { return Ok(false) };
    let room = getsockopt(lane, SndBuf)?;
    Ok(event.is_end || usize::try_from(event.bytes).is_ok_and(|bytes| bytes >= room))
}

/// Keeps a descriptor open that was sent on a lane whose waiting packets are not counted, until it is
/// received. A thread of its own does this.
pub(in crate::sys) fn keep_until_received(
    lane: BorrowedFd<'_>,
    descriptor: Option<BorrowedFd<'_>>,
) {
    static KEEPER: OnceLock<Option<Sender<Kept>>> = OnceLock::new();
    // The sender of a listening socket keeps it open anyway.
    let Some(descriptor) = descriptor.filter(|it| !is_listening(*it)) else { return };
    let copies = (lane.try_clone_to_owned(), descriptor.try_clone_to_owned());
    // Without a free number, or a thread, the descriptor is not kept.
    let (Ok(lane), Ok(descriptor)) = copies else { return };
    let kept = Kept { lane, descriptor, until: Instant::now() + PATIENCE };
    if let Some(keeper) = KEEPER.get_or_init(start) {
        drop(keeper.send(kept));
    }
}

fn start() -> Option<Sender<Kept>> {
    let (sender, receiver) = channel();
    let thread = thread::Builder::new().name("rs-cluster-keeper".into()).stack_size(STACK);
    thread.spawn(move || attend(&receiver)).ok()?;
    Some(sender)
}

fn attend(receiver: &Receiver<Kept>) {
    let mut in_flight = Vec::new();
    while let Ok(kept) = receiver.recv() {
        in_flight.push(kept);
        while !in_flight.is_empty() {
            thread::sleep(LOOK);
            in_flight.extend(receiver.try_iter());
            in_flight.retain(|it| !it.has_arrived());
        }
    }
}

//! What other threads may ask about a worker's connections, and what the worker counts itself.

use std::{
    os::fd::{OwnedFd, RawFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    primary::core::stats::{AcceptCounter, WorkerView},
    protocol::{ListenerId, connection},
    sys::{lane, listen, ring::SharedCounters},
};

/// What other threads may ask about a worker's connections, at any time.
pub(in crate::primary::driver) struct View {
    /// Connections put into the queue, less those taken back.
    handed: AtomicU64,
    /// The numbers of the worker's own sockets, as long as they are open.
    sockets: Mutex<Vec<(ListenerId, RawFd)>>,
    /// What the worker counts itself.
    pub(super) counters: SharedCounters,
    /// A duplicate of the receiving end of the hand-off queue.
    pub(super) reclaim: OwnedFd,
}

impl View {
    pub(in crate::primary::driver) fn new(counters: SharedCounters, reclaim: OwnedFd) -> Self {
        Self { handed: AtomicU64::new(0), sockets: Mutex::default(), counters, reclaim }
    }

    pub(super) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    /// Counts the connections in the queue. Only the engine's thread does.
    pub(super) fn change_handed(&self, change: impl FnOnce(u64) -> u64) {
        self.handed.store(change(self.handed.load(Ordering::Relaxed)), Ordering::Release);
    }

    /// How many connections wait in the queue, by the kernel.
    pub(super) fn queued(&self) -> usize {
        lane::unread(&self.reclaim).map_or(0, connection::waiting)
    }

    pub(super) fn sockets(&self) -> MutexGuard<'_, Vec<(ListenerId, RawFd)>> {
        // No thread panics while it holds the lock.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerView for View {
    fn accepted(&self) -> u64 {
        self.counters.accepted()
    }

    fn waiting(&self) -> usize {
        let at_sockets =
            self.sockets().iter().map(|(_, it)| listen::backlog_of(*it)).sum::<usize>();
        self.queued() + at_sockets
    }

    fn open(&self) -> usize {
        if !self.counters.is_shared() {
            // It is not known when those that the worker has taken are closed.
            return self.queued();
        }
        // By its own word: one that lies gets too many connections, or too few.
        count_from(self.counters.closed(), self.handed().wrapping_add(self.counters.accepted()))
    }
}

/// How many of `total` connections a worker has not counted, modulo 2^32. One that lies has none.
pub(super) fn count_from(counted: u32, total: u64) -> usize {
    let more = (total as u32).wrapping_sub(counted);
    usize::try_from(more.cast_signed()).unwrap_or(0)
}

/// What a worker counts at one of its sockets, from now on.
pub(super) struct SlotCounter {
    counters: SharedCounters,
    slot: Option<u8>,
    /// How far it had counted in this slot before.
    before: u64,
}

impl SlotCounter {
    pub(super) fn new(counters: SharedCounters, slot: Option<u8>) -> Self {
        let before = counters.accepted_at(slot);
        Self { counters, slot, before }
    }
}

impl AcceptCounter for SlotCounter {
    fn accepted(&self) -> u64 {
        self.counters.accepted_at(self.slot).saturating_sub(self.before)
    }
}

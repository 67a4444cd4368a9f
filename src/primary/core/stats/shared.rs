//! Numbers that one thread writes, and others read.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::values::Counts;

/// Adds to, or subtracts from, a number that only this thread writes.
pub(super) fn change(number: &AtomicU64, change: impl FnOnce(u64) -> u64) {
    number.store(change(number.load(Ordering::Relaxed)), Ordering::Release);
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No thread panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct SharedCounts {
    handed_over: AtomicU64,
    reclaimed: AtomicU64,
    rescued: AtomicU64,
    returned: AtomicU64,
    moved: AtomicU64,
}

impl SharedCounts {
    pub(super) fn get(&self) -> Counts {
        let Self { handed_over, reclaimed, rescued, returned, moved } = self;
        let [handed_over, reclaimed, rescued, returned, moved] =
            [handed_over, reclaimed, rescued, returned, moved]
                .map(|count| count.load(Ordering::Acquire));
        Counts { handed_over, reclaimed, rescued, returned, moved }
    }

    pub(super) fn update(&self, add: impl FnOnce(&mut Counts)) {
        let mut counts = self.get();
        add(&mut counts);
        self.handed_over.store(counts.handed_over, Ordering::Release);
        self.reclaimed.store(counts.reclaimed, Ordering::Release);
        self.rescued.store(counts.rescued, Ordering::Release);
        self.returned.store(counts.returned, Ordering::Release);
        self.moved.store(counts.moved, Ordering::Release);
    }
}

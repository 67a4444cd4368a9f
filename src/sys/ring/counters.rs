//! What a worker counts for its primary, and the primary for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::layout::{Counts, Mapping};

/// What a worker has done with connections. It counts them itself, so that nobody has to be told of
/// each; what it counts is its own word.
#[derive(Clone)]
pub struct SharedCounters(pub(super) Arc<Mapping>);

impl std::fmt::Debug for SharedCounters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("SharedCounters").field(&self.closed()).finish()
    }
}

impl SharedCounters {
    /// Whether the primary sees what the worker counts.
    pub fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    fn counts(&self) -> &Counts {
        // SAFETY: mapped as long as we live, zeroed by the kernel at first, and atomic throughout.
        unsafe { &(*self.0.layout.as_ptr()).counts }
    }

    /// One more connection is closed, or was given away.
    pub fn add_closed(&self) {
        self.counts().closed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many they are, modulo 2^32.
    pub fn closed(&self) -> u32 {
        self.counts().closed.load(Ordering::Relaxed)
    }

    /// One more connection is taken from the lane.
    pub fn add_taken(&self) {
        self.counts().taken.fetch_add(1, Ordering::Relaxed);
    }

    /// How many they are, modulo 2^32.
    pub fn taken(&self) -> u32 {
        self.counts().taken.load(Ordering::Relaxed)
    }

    /// Tells the worker how many connections were put into its lane, less those taken back, modulo 2^32.
    pub fn set_handed(&self, handed: u32) {
        self.counts().handed.position.store(handed, Ordering::Relaxed);
    }

    /// Whether more connections wait in the lane, as far as the worker has heard: the next readiness
    /// tells for sure.
    pub fn has_more(&self) -> bool {
        let handed = self.counts().handed.position.load(Ordering::Relaxed);
        handed.wrapping_sub(self.taken()).cast_signed() > 0
    }

    /// This process has sent one more message to its peer. Only the thread that sends says so.
    pub fn add_message(&self) {
        self.0.messages.store(self.messages() + 1, Ordering::Relaxed);
    }

    /// How many messages this process has sent to its peer.
    pub fn messages(&self) -> u64 {
        self.0.messages.load(Ordering::Relaxed)
    }

    /// One more connection is accepted from the worker's own socket of this slot; `None` where it has
    /// too many sockets to count that.
    pub fn add_accepted(&self, slot: Option<u8>) {
        self.counts().accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(accepted) = self.accepted_counter(slot) {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many they are.
    pub fn accepted(&self) -> u64 {
        self.counts().accepted.load(Ordering::Relaxed)
    }

    /// How many of them came from the socket of this slot.
    pub fn accepted_at(&self, slot: Option<u8>) -> u64 {
        self.accepted_counter(slot).map_or(0, |accepted| accepted.load(Ordering::Relaxed))
    }

    fn accepted_counter(&self, slot: Option<u8>) -> Option<&AtomicU64> {
        self.counts().accepted_at.get(usize::from(slot?))
    }
}

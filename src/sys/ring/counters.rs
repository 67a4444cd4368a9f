//! Counters in shared memory: the worker's for its primary, and the primary's for the worker.

use std::{
    os::fd::RawFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::layout::{Counts, Mapping};

/// The state of a connection whose client expects nothing.
pub const IDLE: u8 = 1;

/// The state of a connection that would be cut if the worker ended: a request has begun, or it does not carry
/// HTTP.
pub const ENGAGED: u8 = 2;

/// What a worker has done with connections. The worker counts them itself, so it does not have to
/// report each one; the primary can't verify these numbers.
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

    /// Counts one more connection that is closed, or was given away.
    pub fn add_closed(&self) {
        self.counts().closed.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of these connections, modulo 2^32.
    pub fn closed(&self) -> u32 {
        self.counts().closed.load(Ordering::Relaxed)
    }

    /// Counts one more connection that was taken from the hand-off queue.
    pub fn add_taken(&self) {
        self.counts().taken.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of these connections, modulo 2^32.
    pub fn taken(&self) -> u32 {
        self.counts().taken.load(Ordering::Relaxed)
    }

    /// Counts one more HTTP request that the worker has begun to serve.
    pub fn add_request(&self) {
        self.counts().requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of these requests; 0 if the worker was not told to count them.
    pub fn requests(&self) -> u64 {
        self.counts().requests.load(Ordering::Relaxed)
    }

    /// Where the states of the worker's connections are, and how many: bytes that its JavaScript writes, by
    /// descriptor number. 0 is none of them, [`IDLE`] and [`ENGAGED`] are others. The memory is valid as
    /// long as a clone of these counters lives.
    pub fn states_address(&self) -> (*mut u8, usize) {
        let states = &self.counts().states;
        (states.as_ptr().cast_mut().cast(), states.len())
    }

    /// Sets the state of the connection with this descriptor number, as JavaScript does.
    pub fn set_state(&self, descriptor: RawFd, state: u8) {
        let index = usize::try_from(descriptor).ok();
        if let Some(byte) = index.and_then(|index| self.counts().states.get(index)) {
            byte.store(state, Ordering::Relaxed);
        }
    }

    /// The descriptor numbers of the worker's connections in this state.
    pub fn in_state(&self, state: u8) -> impl Iterator<Item = RawFd> {
        let states = self.counts().states.iter().enumerate();
        let found = states.filter(move |(_, byte)| byte.load(Ordering::Relaxed) == state);
        found.filter_map(|(index, _)| RawFd::try_from(index).ok())
    }

    /// Tells the worker how many connections were put into its hand-off queue, less those taken back,
    /// modulo 2^32.
    pub fn set_handed(&self, handed: u32) {
        self.counts().handed.position.store(handed, Ordering::Relaxed);
    }

    /// Whether more connections wait in the hand-off queue. This is a hint: the readiness of the socket
    /// is exact.
    pub fn has_more(&self) -> bool {
        let handed = self.counts().handed.position.load(Ordering::Relaxed);
        handed.wrapping_sub(self.taken()).cast_signed() > 0
    }

    /// Counts one more message that this process has sent to its peer. Only the sending thread calls
    /// this.
    pub fn add_message(&self) {
        self.0.messages.store(self.messages() + 1, Ordering::Relaxed);
    }

    /// How many messages this process has sent to its peer.
    pub fn messages(&self) -> u64 {
        self.0.messages.load(Ordering::Relaxed)
    }

    /// Counts one more connection that the worker has accepted from its own socket with this counter
    /// slot; `None` for a socket without a slot.
    pub fn add_accepted(&self, slot: Option<u8>) {
        self.counts().accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(accepted) = self.accepted_counter(slot) {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of connections that the worker has accepted itself.
    pub fn accepted(&self) -> u64 {
        self.counts().accepted.load(Ordering::Relaxed)
    }

    /// How many of the accepted connections came from the socket with this counter slot.
    pub fn accepted_at(&self, slot: Option<u8>) -> u64 {
        self.accepted_counter(slot).map_or(0, |accepted| accepted.load(Ordering::Relaxed))
    }

    /// The worker's event loop begins to poll. Only the loop's thread calls this.
    pub fn begin_poll(&self) {
        let beat = &self.counts().beat;
        beat.store(beat.load(Ordering::Relaxed).wrapping_add(1) | 1, Ordering::Relaxed);
    }

    /// The worker's event loop has polled. Only the loop's thread calls this.
    pub fn end_poll(&self) {
        let beat = &self.counts().beat;
        beat.store((beat.load(Ordering::Relaxed) | 1).wrapping_add(1), Ordering::Relaxed);
    }

    /// A number that changes twice in each turn of the worker's event loop, and is odd while that polls; 0 if
    /// the worker does not count turns.
    pub fn beat(&self) -> u64 {
        self.counts().beat.load(Ordering::Relaxed)
    }

    fn accepted_counter(&self, slot: Option<u8>) -> Option<&AtomicU64> {
        self.counts().accepted_at.get(usize::from(slot?))
    }
}

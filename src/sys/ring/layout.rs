//! What is in the memory, byte by byte: the same for both processes.

use std::{
    mem::size_of,
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64},
};

use nix::sys::mman::munmap;

use crate::protocol::control::COUNTER_SLOTS;

/// Bytes that one direction holds. Memory is used as far as messages fill it.
pub const CAPACITY: usize = 128 * 1024;

/// Positions count all bytes ever written or read, and wrap around.
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY < u32::MAX as usize / 2);

/// The positions of both processes, each in a cache line of its own.
#[repr(C, align(128))]
pub(super) struct Positions {
    pub(super) writer: Line,
    pub(super) reader: Line,
}

#[repr(C, align(64))]
pub(super) struct Line {
    /// The position of the process.
    pub(super) position: AtomicU32,
    /// Only for the reader: 0 while it wants to be woken, as at the start.
    pub(super) awake: AtomicU32,
}

#[repr(C)]
pub(super) struct Direction {
    pub(super) positions: Positions,
    pub(super) bytes: [u8; CAPACITY],
}

/// The counters of the worker, and of the primary.
#[repr(C, align(128))]
pub(super) struct Counts {
    /// Connections that the worker has closed, or given away.
    pub(super) closed: AtomicU32,
    /// Connections that the worker has taken from its hand-off queue.
    pub(super) taken: AtomicU32,
    /// Connections that the worker has accepted itself.
    pub(super) accepted: AtomicU64,
    /// Changes twice in each turn of the worker's event loop; odd while that polls. 0 before the first turn.
    pub(super) beat: AtomicU64,
    /// Accepted connections by the counter slot of the worker's socket.
    pub(super) accepted_at: [AtomicU64; COUNTER_SLOTS],
    /// HTTP requests that the worker has begun to serve, if it was told to count them.
    pub(super) requests: AtomicU64,
    /// Connections that the primary has put into the hand-off queue, less those taken back. In a cache
    /// line of its own, because the primary writes it.
    pub(super) handed: Line,
    /// The state of the connection with each descriptor number of the worker. See
    /// [`states_address`](super::SharedCounters::states_address).
    pub(super) states: [AtomicU8; DESCRIPTORS],
}

/// How many descriptor numbers of a worker have a state. Memory is used as far as the worker writes.
pub(super) const DESCRIPTORS: usize = 64 * 1024;

#[repr(C)]
pub(super) struct Layout {
    directions: [Direction; 2],
    pub(super) counts: Counts,
}

pub(super) const SIZE: usize = size_of::<Layout>();

/// A mapping, unmapped on drop.
pub(super) struct Mapping {
    pub(super) layout: NonNull<Layout>,
    pub(super) is_shared: bool,
    /// Messages that this process has sent. Not shared.
    pub(super) messages: AtomicU64,
}

// SAFETY: an address. What is there is shared with another process anyhow.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this size, and no longer used.
        let _ = unsafe { munmap(self.layout.cast(), SIZE) };
    }
}

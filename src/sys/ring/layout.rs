//! What is in the memory, byte by byte: the same for both processes.

use std::{
    mem::size_of,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64},
};

use nix::sys::mman::munmap;

/// How many sockets of its own a worker can count connections of.
pub const COUNTER_SLOTS: usize = 64;

/// Bytes that one direction holds. Memory is used as far as messages fill it.
pub const CAPACITY: usize = 128 * 1024;

/// Positions count bytes from the beginning of time, so they wrap as `u32` does.
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY < u32::MAX as usize / 2);

/// What the two processes tell each other, a cache line for each of them.
#[repr(C, align(128))]
pub(super) struct Positions {
    pub(super) writer: Line,
    pub(super) reader: Line,
}

#[repr(C, align(64))]
pub(super) struct Line {
    /// How far the process is.
    pub(super) position: AtomicU32,
    /// Of the reader: 0 while it wants to be woken, as at first.
    pub(super) awake: AtomicU32,
}

#[repr(C)]
pub(super) struct Direction {
    pub(super) positions: Positions,
    pub(super) bytes: [u8; CAPACITY],
}

/// What the worker counts, and what it is told.
#[repr(C, align(128))]
pub(super) struct Counts {
    /// Connections that it had and has closed, or given away.
    pub(super) closed: AtomicU32,
    /// Connections that it has taken from its lane.
    pub(super) taken: AtomicU32,
    /// Connections that it has accepted itself.
    pub(super) accepted: AtomicU64,
    /// Those of them that came from one of its sockets, by the number of its slot.
    pub(super) accepted_at: [AtomicU64; COUNTER_SLOTS],
    /// Connections that the primary has put into its lane, less those taken back. On a line of its own,
    /// because it is the primary that writes it.
    pub(super) handed: Line,
}

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
    /// Messages sent; this process's own affair.
    pub(super) messages: AtomicU64,
}

// SAFETY: an address. What is there is shared with another process anyhow.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this size, and nobody uses it any more.
        let _ = unsafe { munmap(self.layout.cast(), SIZE) };
    }
}

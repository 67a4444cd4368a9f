//! Memory shared by two processes: a ring of bytes in each direction, and counters.
//!
//! What is written reaches the reader at once, without a system call, even if the writer dies right
//! afterwards. A reader that runs out of bytes marks that it sleeps; only then must the writer wake it,
//! by other means.
//!
//! The peer may be malicious: it can write anything anywhere into the memory at any time. So bytes are
//! copied out before they are read, invalid positions are errors, and the memory can't shrink while a
//! reader uses it: it is sealed on Linux, and its size can't change on macOS.

mod counters;
mod direction;
mod layout;

use std::{
    ffi::c_void,
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    ptr::NonNull,
    sync::{Arc, atomic::AtomicU64},
};

use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, ProtFlags, mmap, mmap_anonymous},
        stat::fstat,
    },
};

use self::layout::{Layout, Mapping, SIZE};
pub use self::{
    counters::{ENGAGED, IDLE, SharedCounters},
    direction::{Corrupt, Reader, Writer},
    layout::CAPACITY,
};
use super::{descriptor::duplicate, lane, platform::memory};
use direction::End;

/// Creates the memory, which both processes [map](Ring::map). It can't be resized.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create() -> io::Result<OwnedFd> {
    memory::create(SIZE)
}

/// Maps the memory that this process was started with, and closes its descriptor. A socket in its place
/// means that there is no shared memory.
///
/// # Errors
/// `EBADF` when `fd` is not open; as [`Ring::map`] when it is something else, which stays open.
pub fn inherit(fd: RawFd) -> io::Result<Ring> {
    let ring = match Ring::map(duplicate(fd)?, Side::Worker) {
        Err(error) => {
            lane::check(duplicate(fd)?, lane::Kind::Packets).map_err(|_| error)?;
            Ring::unshared()?
        }
        ring => ring?,
    };
    // SAFETY: open, and ours, as seen above; the process that started us left it to us alone.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(ring)
}

/// Which process this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that created the memory.
    Primary,
    /// The process that was given the memory.
    Worker,
}

/// One process's ends of both directions.
pub struct Ring {
    /// Writes to the peer.
    pub writer: Writer,
    /// Reads from the peer.
    pub reader: Reader,
    /// What the worker counts.
    pub counters: SharedCounters,
}

const ACCESS: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

impl Ring {
    /// Whether the peer has this memory too.
    pub fn is_shared(&self) -> bool {
        self.counters.is_shared()
    }

    /// Maps memory made by [`create`]. The descriptor is no longer needed afterwards.
    ///
    /// # Errors
    /// `EPROTOTYPE` when it is something else, `ENOMEM`.
    pub fn map(memory: impl AsFd, side: Side) -> io::Result<Self> {
        if !memory::is_sized(&fstat(&memory)?, SIZE) {
            return Err(Errno::EPROTOTYPE.into());
        }
        let size = NonZeroUsize::new(SIZE).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let address = unsafe { mmap(None, size, ACCESS, MapFlags::MAP_SHARED, memory, 0)? };
        Ok(Self::new(address, true, side))
    }

    /// Memory that the peer does not have, for when the system has no memory to share. Don't write
    /// messages into it; only this process sees what is counted there.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn unshared() -> io::Result<Self> {
        let size = NonZeroUsize::new(SIZE).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let address = unsafe { mmap_anonymous(None, size, ACCESS, MapFlags::MAP_PRIVATE)? };
        Ok(Self::new(address, false, Side::Primary))
    }

    fn new(address: NonNull<c_void>, is_shared: bool, side: Side) -> Self {
        let layout = address.cast::<Layout>();
        let mapping = Arc::new(Mapping { layout, is_shared, messages: AtomicU64::new(0) });
        let (ours, theirs) = match side {
            Side::Primary => (0, 1),
            Side::Worker => (1, 0),
        };
        let end = |index| End::new(Arc::clone(&mapping), index);
        Self {
            writer: Writer::new(end(ours)),
            reader: Reader::new(end(theirs)),
            counters: SharedCounters(Arc::clone(&mapping)),
        }
    }
}

#[cfg(test)]
mod tests;

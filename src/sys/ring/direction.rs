//! One direction of the ring: its writer and its reader.

use std::{
    ffi::c_void,
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
};

use super::layout::{CAPACITY, Direction, Mapping, Positions};

/// The positions that the peer has written are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// One direction, as one process sees it.
pub(super) struct End {
    mapping: Arc<Mapping>,
    index: usize,
}

impl End {
    /// `index` is that of the direction.
    pub(super) fn new(mapping: Arc<Mapping>, index: usize) -> Self {
        Self { mapping, index }
    }

    fn direction(&self) -> NonNull<Direction> {
        // SAFETY: an element of the array that is mapped, first of all.
        unsafe { self.mapping.layout.cast::<Direction>().add(self.index) }
    }

    pub(super) fn positions(&self) -> &Positions {
        // SAFETY: mapped as long as we live, zeroed by the kernel at first, and atomic throughout.
        unsafe { &(*self.direction().as_ptr()).positions }
    }

    /// Where the byte of this position is, and how many follow it up to the end of the memory.
    fn at(&self, position: u32) -> (NonNull<c_void>, usize) {
        let offset = position as usize % CAPACITY;
        // SAFETY: inside `bytes`.
        let byte =
            unsafe { (&raw mut (*self.direction().as_ptr()).bytes).cast::<u8>().add(offset) };
        // SAFETY: not null, as the mapping is not.
        (unsafe { NonNull::new_unchecked(byte) }.cast(), CAPACITY - offset)
    }

    fn copy_in(&self, position: u32, bytes: &[u8]) {
        let (to, room) = self.at(position);
        let (first, rest) = bytes.split_at(bytes.len().min(room));
        // SAFETY: within the memory, see `at`. The peer may read or write there meanwhile, which
        // corrupts only what the peer itself reads.
        unsafe { ptr::copy_nonoverlapping(first.as_ptr(), to.as_ptr().cast(), first.len()) };
        if !rest.is_empty() {
            self.copy_in(position.wrapping_add(first.len() as u32), rest);
        }
    }

    fn copy_out(&self, position: u32, bytes: &mut [u8]) {
        let (from, room) = self.at(position);
        let count = bytes.len().min(room);
        let (first, rest) = bytes.split_at_mut(count);
        // SAFETY: within the memory, see `at`. What the peer writes there meanwhile makes garbage of
        // the copy, which is checked as all that comes from it.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr().cast(), first.as_mut_ptr(), count) };
        if !rest.is_empty() {
            self.copy_out(position.wrapping_add(count as u32), rest);
        }
    }
}

/// Writes one direction.
pub struct Writer {
    pub(super) end: End,
    pub(super) position: u32,
}

impl Writer {
    pub(super) fn new(end: End) -> Self {
        Self { end, position: 0 }
    }

    /// How many bytes can be written; 0 if the positions are invalid.
    pub fn room(&self) -> usize {
        let read = self.end.positions().reader.position.load(Ordering::Acquire);
        CAPACITY.saturating_sub(self.position.wrapping_sub(read) as usize)
    }

    /// Writes all parts and returns true, or writes nothing if there is not enough room.
    pub fn write(&mut self, parts: &[&[u8]]) -> bool {
        if parts.iter().map(|part| part.len()).sum::<usize>() > self.room() {
            return false;
        }
        for part in parts {
            self.end.copy_in(self.position, part);
            self.position = self.position.wrapping_add(part.len() as u32);
        }
        self.end.positions().writer.position.store(self.position, Ordering::Release);
        true
    }

    /// Whether the reader sleeps, and the caller must wake it. True once for each sleep.
    pub fn must_wake(&self) -> bool {
        // Either this process sees that the reader sleeps, or the reader sees what was written before
        // it sleeps.
        fence(Ordering::SeqCst);
        let awake = &self.end.positions().reader.awake;
        awake.load(Ordering::Relaxed) == 0 && awake.swap(1, Ordering::Relaxed) == 0
    }
}

/// Reads one direction.
pub struct Reader {
    pub(super) end: End,
    pub(super) position: u32,
}

impl Reader {
    pub(super) fn new(end: End) -> Self {
        Self { end, position: 0 }
    }

    /// How many bytes there are to read.
    ///
    /// # Errors
    /// When the writer claims more bytes than there can be.
    pub fn unread(&self) -> Result<usize, Corrupt> {
        let written = self.end.positions().writer.position.load(Ordering::Acquire);
        let unread = written.wrapping_sub(self.position) as usize;
        if unread > CAPACITY { Err(Corrupt) } else { Ok(unread) }
    }

    /// Copies the next bytes without taking them. The caller has checked that they are there.
    pub fn peek(&self, bytes: &mut [u8]) {
        self.end.copy_out(self.position, bytes);
    }

    /// Takes `count` bytes, which gives their room back to the writer.
    pub fn take(&mut self, count: usize) {
        self.position = self.position.wrapping_add(count as u32);
        self.end.positions().reader.position.store(self.position, Ordering::Release);
    }

    /// Asks to be woken at the next byte. Returns false if there are bytes already.
    ///
    /// # Errors
    /// As [`unread`](Self::unread).
    pub fn sleep(&self) -> Result<bool, Corrupt> {
        let awake = &self.end.positions().reader.awake;
        awake.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.unread()? == 0 {
            return Ok(true);
        }
        awake.store(1, Ordering::Relaxed);
        Ok(false)
    }
}

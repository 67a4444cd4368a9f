//! Memory shared by two processes: a pipe of bytes in each direction, and what one counts for the
//! other.
//!
//! What is written is the reader's at once, without a system call, even if the writer dies in the
//! next instant. A reader that runs out of bytes says that it sleeps; only then does the writer
//! have to wake it, in a way of its own.
//!
//! The peer may be malicious: it can write anything anywhere into the memory at any time. So bytes
//! are copied out before anybody looks at them, positions that make no sense are errors, and the
//! memory can't shrink under a reader: on Linux it is sealed, on macOS such memory never can.

use std::{
    ffi::c_void,
    io,
    mem::size_of,
    num::NonZeroUsize,
    os::fd::{AsFd, FromRawFd, OwnedFd, RawFd},
    ptr::{self, NonNull},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
};

use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap},
        stat::fstat,
    },
};

use super::{descriptor::duplicate, lane, platform::memory};

/// Bytes that one direction holds. Memory is used as far as messages fill it.
pub const CAPACITY: usize = 128 * 1024;

/// Positions count bytes from the beginning of time, so they wrap as `u32` does.
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY < u32::MAX as usize / 2);

/// What the two processes tell each other, a cache line for each of them.
#[repr(C, align(128))]
struct Positions {
    writer: Line,
    reader: Line,
}

#[repr(C, align(64))]
struct Line {
    /// How far the process is.
    position: AtomicU32,
    /// Of the reader: 0 while it wants to be woken, as at first.
    awake: AtomicU32,
}

#[repr(C)]
struct Direction {
    positions: Positions,
    bytes: [u8; CAPACITY],
}

/// What the worker counts, and what it is told.
#[repr(C, align(128))]
struct Counts {
    /// Connections that it had and has closed, or given away.
    closed: AtomicU32,
    /// Connections that it has taken from its lane.
    taken: AtomicU32,
    /// Connections that it has accepted itself.
    accepted: AtomicU64,
    /// Those of them that came from one of its sockets, by the number of its slot.
    accepted_at: [AtomicU64; COUNTER_SLOTS],
    /// Connections that the primary has put into its lane, less those taken back. On a line of its own,
    /// because it is the primary that writes it.
    handed: Line,
}

#[repr(C)]
struct Layout {
    directions: [Direction; 2],
    counts: Counts,
}

const SIZE: usize = size_of::<Layout>();

/// How many sockets of its own a worker can count connections of.
pub const COUNTER_SLOTS: usize = 64;

/// Makes the memory, for both processes to [`Ring::map`]. It can't be resized.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create() -> io::Result<OwnedFd> {
    memory::create(SIZE)
}

/// Maps, and closes, the memory that this process was started with. A socket in its place says that
/// there is none.
///
/// # Errors
/// `EBADF` when `fd` is not open, and as [`Ring::map`], when it is something else, which is left open.
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
    /// The one that made the memory.
    Primary,
    /// The one that was given it.
    Worker,
}

/// The positions of the peer make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// A mapping, unmapped on drop.
struct Mapping {
    layout: NonNull<Layout>,
    is_shared: bool,
    /// Messages sent; this process's own affair.
    messages: AtomicU64,
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

    /// Maps memory made by [`create`]. The descriptor is not needed any more then.
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

    /// Memory that the peer does not have, where the system gives none to share. Nothing is to be written
    /// into it, and what is counted there is this process's own.
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
        let end = |index| End { mapping: Arc::clone(&mapping), index };
        Self {
            writer: Writer { end: end(ours), position: 0 },
            reader: Reader { end: end(theirs), position: 0 },
            counters: SharedCounters(Arc::clone(&mapping)),
        }
    }
}

/// One direction, as one process has it.
struct End {
    mapping: Arc<Mapping>,
    index: usize,
}

impl End {
    fn direction(&self) -> NonNull<Direction> {
        // SAFETY: an element of the array that is mapped, first of all.
        unsafe { self.mapping.layout.cast::<Direction>().add(self.index) }
    }

    fn positions(&self) -> &Positions {
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
        // gives it garbage, and nobody else.
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

/// What a worker has done with connections. It counts them itself, so that nobody has to be told of
/// each; what it counts is its own word.
#[derive(Clone)]
pub struct SharedCounters(Arc<Mapping>);

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

/// Writes one direction.
pub struct Writer {
    end: End,
    position: u32,
}

impl Writer {
    /// How many bytes can be written. Positions that make no sense are no room.
    pub fn room(&self) -> usize {
        let read = self.end.positions().reader.position.load(Ordering::Acquire);
        CAPACITY.saturating_sub(self.position.wrapping_sub(read) as usize)
    }

    /// Writes all of the parts, or nothing where there is no room for all.
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

    /// Whether the reader sleeps, and the caller has to wake it. Says so once.
    pub fn must_wake(&self) -> bool {
        // Either we see that it sleeps, or it sees what we have written before it does.
        fence(Ordering::SeqCst);
        let awake = &self.end.positions().reader.awake;
        awake.load(Ordering::Relaxed) == 0 && awake.swap(1, Ordering::Relaxed) == 0
    }
}

/// Reads one direction.
pub struct Reader {
    end: End,
    position: u32,
}

impl Reader {
    /// How many bytes there are to read.
    ///
    /// # Errors
    /// When the writer says that there are more than can be.
    pub fn unread(&self) -> Result<usize, Corrupt> {
        let written = self.end.positions().writer.position.load(Ordering::Acquire);
        let unread = written.wrapping_sub(self.position) as usize;
        if unread > CAPACITY { Err(Corrupt) } else { Ok(unread) }
    }

    /// Copies the next bytes without taking them. The caller knows that they are there.
    pub fn peek(&self, bytes: &mut [u8]) {
        self.end.copy_out(self.position, bytes);
    }

    /// Gives room for `count` bytes back to the writer.
    pub fn take(&mut self, count: usize) {
        self.position = self.position.wrapping_add(count as u32);
        self.end.positions().reader.position.store(self.position, Ordering::Release);
    }

    /// Asks to be woken at the next byte. False when there are some already.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Ring, Ring) {
        let memory = create().unwrap();
        let map = |side| Ring::map(&memory, side).unwrap();
        (map(Side::Primary), map(Side::Worker))
    }

    fn read(reader: &mut Reader) -> Vec<u8> {
        let mut bytes = vec![0; reader.unread().unwrap()];
        reader.peek(&mut bytes);
        reader.take(bytes.len());
        bytes
    }

    #[test]
    fn what_one_writes_the_other_reads_in_both_directions() {
        let (mut primary, mut worker) = pair();
        assert!(primary.writer.write(&[b"to", b"gether"]));
        assert!(worker.writer.write(&[b"back"]));
        assert_eq!(read(&mut worker.reader), b"together");
        assert_eq!(read(&mut primary.reader), b"back");
        assert_eq!(read(&mut primary.reader), b"");
    }

    #[test]
    fn what_does_not_fit_whole_is_not_written() {
        let (mut primary, mut worker) = pair();
        let block = [7; CAPACITY - 1];
        assert!(primary.writer.write(&[&block]));
        assert!(!primary.writer.write(&[b"two"]));
        assert!(primary.writer.write(&[b"1"]));
        assert!(!primary.writer.write(&[b"1"]));
        assert_eq!(worker.reader.unread(), Ok(CAPACITY));
        worker.reader.take(CAPACITY);
        assert!(primary.writer.write(&[&block]));
    }

    #[test]
    fn bytes_stay_in_order_around_the_end_of_the_memory_and_of_the_counters() {
        let (mut primary, mut worker) = pair();
        for end in [&mut primary.writer.position, &mut worker.reader.position] {
            *end = u32::MAX - 5000;
        }
        let positions = primary.writer.end.positions();
        positions.writer.position.store(u32::MAX - 5000, Ordering::Relaxed);
        positions.reader.position.store(u32::MAX - 5000, Ordering::Relaxed);
        for round in 0..3000u32 {
            let bytes: Vec<u8> = (0..round % 700).map(|byte| (byte + round) as u8).collect();
            assert!(primary.writer.write(&[&bytes]));
            assert_eq!(read(&mut worker.reader), bytes);
        }
    }

    #[test]
    fn a_sleeping_reader_is_to_be_woken_once() {
        let (mut primary, worker) = pair();
        assert!(primary.writer.must_wake(), "it has not begun yet");
        assert!(!primary.writer.must_wake());
        assert_eq!(worker.reader.sleep(), Ok(true));
        assert!(primary.writer.write(&[b"!"]));
        assert!(primary.writer.must_wake());
        assert!(!primary.writer.must_wake());
        assert_eq!(worker.reader.sleep(), Ok(false), "there is something to read");
        assert!(!primary.writer.must_wake());
    }

    #[test]
    fn positions_that_make_no_sense_are_an_error_to_the_reader_and_no_room_to_the_writer() {
        let (mut primary, worker) = pair();
        let positions = primary.writer.end.positions();
        positions.writer.position.store(CAPACITY as u32 + 1, Ordering::Relaxed);
        assert_eq!(worker.reader.unread(), Err(Corrupt));
        assert_eq!(worker.reader.sleep(), Err(Corrupt));
        positions.reader.position.store(1, Ordering::Relaxed);
        assert!(!primary.writer.write(&[b"!"]));
    }

    #[test]
    fn what_the_worker_counts_the_primary_sees() {
        let (primary, worker) = pair();
        assert_eq!(primary.counters.closed(), 0);
        worker.counters.add_closed();
        worker.counters.add_closed();
        assert_eq!(primary.counters.closed(), 2);
        worker.counters.add_taken();
        for slot in
            [Some(0), Some(COUNTER_SLOTS as u8 - 1), Some(0), Some(COUNTER_SLOTS as u8), None]
        {
            worker.counters.add_accepted(slot);
        }
        assert_eq!((primary.counters.taken(), primary.counters.accepted()), (1, 5));
        let at = |slot| primary.counters.accepted_at(slot);
        assert_eq!((at(Some(0)), at(Some(63)), at(Some(64)), at(None)), (2, 1, 0, 0));
    }

    #[test]
    fn the_memory_can_not_shrink_and_other_files_are_refused() {
        let memory = create().unwrap();
        assert!(nix::unistd::ftruncate(&memory, 0).is_err());
        let other = std::fs::File::open("/dev/null").unwrap();
        let refused = Ring::map(&other, Side::Worker).err().unwrap();
        assert_eq!(refused.raw_os_error(), Some(libc::EPROTOTYPE));
    }

    #[test]
    fn two_threads_exchange_all_without_losing_a_wake() {
        let memory = create().unwrap();
        let theirs = memory.try_clone().unwrap();
        let (wake, woken) = std::sync::mpsc::channel();
        let total = 2_000_000u32;
        let writing = std::thread::spawn(move || {
            let mut ring = Ring::map(theirs, Side::Worker).unwrap();
            let mut number = 0u32;
            while number < total {
                if ring.writer.write(&[&number.to_le_bytes()]) {
                    number += 1;
                    if ring.writer.must_wake() {
                        wake.send(()).unwrap();
                    }
                } else {
                    std::thread::yield_now();
                }
            }
        });
        let mut ring = Ring::map(memory, Side::Primary).unwrap();
        let mut expected = 0u32;
        while expected < total {
            for number in read(&mut ring.reader).chunks(4) {
                assert_eq!(number, expected.to_le_bytes());
                expected += 1;
            }
            if expected < total && ring.reader.sleep().unwrap() {
                woken.recv_timeout(std::time::Duration::from_secs(20)).expect("a wake");
            }
        }
        writing.join().unwrap();
    }
}

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use nix::{
    libc::timespec,
    sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue},
};

/// Descriptors of which any may become readable, and one descriptor that is readable while one of them is.
#[derive(Debug)]
pub struct ReadinessSet(Kqueue);

impl AsRawFd for ReadinessSet {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl ReadinessSet {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Kqueue::new()?))
    }

    /// Adds a descriptor, by which number [`ready`](Self::ready) names it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add(&self, descriptor: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.change(descriptor, EvFlags::EV_ADD, number)
    }

    /// Removes a descriptor. Closing it would not, if another process has it too.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        // Fails only for one that is not in the set.
        let _ = self.change(descriptor, EvFlags::EV_DELETE, 0);
    }

    fn change(&self, descriptor: BorrowedFd<'_>, flags: EvFlags, number: u64) -> io::Result<()> {
        let (filter, none) = (EventFilter::EVFILT_READ, FilterFlag::empty());
        let ident = descriptor.as_raw_fd().cast_unsigned() as usize;
        let change = KEvent::new(ident, filter, flags, none, 0, number.cast_signed() as isize);
        self.0.kevent(&[change], &mut [], Some(NOW))?;
        Ok(())
    }

    /// The numbers of some that are readable, or have ended; those of which nothing is read are named
    /// again.
    pub fn ready<const COUNT: usize>(&self) -> impl Iterator<Item = u64> + use<COUNT> {
        let (filter, none) = (EventFilter::EVFILT_READ, FilterFlag::empty());
        let mut events = [KEvent::new(0, filter, EvFlags::empty(), none, 0, 0); COUNT];
        // Fails only when a signal arrives, as nothing is waited for.
        let count = self.0.kevent(&[], &mut events, Some(NOW)).unwrap_or(0);
        events.into_iter().take(count).map(|event| event.udata().cast_unsigned() as u64)
    }
}

const NOW: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Descriptors of which any may become readable, and one descriptor that is readable while one of them is.
#[derive(Debug)]
pub struct ReadinessSet(Epoll);

impl AsRawFd for ReadinessSet {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl ReadinessSet {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds a descriptor, by which number [`ready`](Self::ready) names it.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn add(&self, descriptor: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        Ok(self.0.add(descriptor, EpollEvent::new(flags, number))?)
    }

    /// Removes a descriptor. Closing it would not, if another process has it too.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        // Fails only for one that is not in the set.
        let _ = self.0.delete(descriptor);
    }

    /// The numbers of some that are readable, or have ended; those of which nothing is read are named
    /// again.
    pub fn ready<const COUNT: usize>(&self) -> impl Iterator<Item = u64> + use<COUNT> {
        let mut events = [EpollEvent::empty(); COUNT];
        // Fails only when a signal arrives, as nothing is waited for.
        let count = self.0.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        events.into_iter().take(count).map(|event| event.data())
    }
}

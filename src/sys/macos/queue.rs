use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

use crate::sys::descriptor::close_on_exec;

/// What the kernel reports about something that a [`Queue`] watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// For a socket: how many bytes can be read, or written.
    pub(super) bytes: isize,
    /// Whether the other end is closed.
    pub(super) is_end: bool,
}

/// A queue of events of the kernel (`kqueue(2)`), readable while there are some.
#[derive(Debug)]
pub(super) struct Queue(Kqueue);

impl Queue {
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(super) fn new() -> nix::Result<Self> {
        let queue = Kqueue::new()?;
        close_on_exec(&queue)?;
        Ok(Self(queue))
    }

    /// Makes the kernel report each change of `ident`, which this filter interprets, once.
    ///
    /// # Errors
    /// `ENOMEM`; `ESRCH` or `EBADF` when there is no such thing.
    pub(super) fn watch(
        &self,
        ident: usize,
        filter: EventFilter,
        notes: FilterFlag,
        data: isize,
    ) -> nix::Result<()> {
        let flags = EvFlags::EV_ADD | EvFlags::EV_CLEAR;
        self.change(KEvent::new(ident, filter, flags, notes, data, 0))
    }

    /// Makes the queue readable from now on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn trigger(&self) -> nix::Result<()> {
        let user = |flags, notes| KEvent::new(0, EventFilter::EVFILT_USER, flags, notes, 0, 0);
        self.change(user(EvFlags::EV_ADD, FilterFlag::empty()))?;
        self.change(user(EvFlags::empty(), FilterFlag::NOTE_TRIGGER))
    }

    fn change(&self, change: KEvent) -> nix::Result<()> {
        self.0.kevent(&[change], &mut [], None).map(drop)
    }

    /// Returns the next event. With `waits` this blocks; otherwise it returns `None` if there is none.
    ///
    /// # Errors
    /// `EINTR`.
    pub(super) fn next(&self, waits: bool) -> nix::Result<Option<Event>> {
        let (flags, notes) = (EvFlags::empty(), FilterFlag::empty());
        let mut events = [KEvent::new(0, EventFilter::EVFILT_USER, flags, notes, 0, 0)];
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let count = self.0.kevent(&[], &mut events, (!waits).then_some(now))?;
        let [event] = events;
        let is_end = event.flags().contains(EvFlags::EV_EOF);
        Ok((count > 0).then(|| Event { bytes: event.data(), is_end }))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

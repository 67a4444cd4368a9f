use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

/// What the kernel tells of something that a [`Queue`] watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// Bytes, where it is about a socket: how many there are to read, or room for.
    pub(super) bytes: isize,
    /// Whether nobody is left at the other end.
    pub(super) is_end: bool,
}

/// A queue of events of the kernel (`kqueue(2)`), readable while there are some.
#[derive(Debug)]
pub(super) struct Queue(OwnedFd);

impl Queue {
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no conditions.
        let queue = unsafe { libc::kqueue() };
        if queue < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let queue = unsafe { OwnedFd::from_raw_fd(queue) };
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self(queue))
    }

    /// Has the kernel tell once for each change of what `ident` names for this filter.
    ///
    /// # Errors
    /// `ENOMEM`; `ESRCH` or `EBADF` when there is no such thing.
    pub(super) fn watch(
        &self,
        ident: usize,
        filter: i16,
        notes: u32,
        data: isize,
    ) -> io::Result<()> {
        self.change(ident, filter, libc::EV_ADD | libc::EV_CLEAR, notes, data)
    }

    /// Makes the queue readable for good.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn trigger(&self) -> io::Result<()> {
        self.change(0, libc::EVFILT_USER, libc::EV_ADD, 0, 0)?;
        self.change(0, libc::EVFILT_USER, 0, libc::NOTE_TRIGGER, 0)
    }

    fn change(
        &self,
        ident: usize,
        filter: i16,
        flags: u16,
        fflags: u32,
        data: isize,
    ) -> io::Result<()> {
        let change = libc::kevent { ident, filter, flags, fflags, data, udata: ptr::null_mut() };
        let fd = self.0.as_raw_fd();
        // SAFETY: one change that lives, and no room for events.
        let result =
            unsafe { libc::kevent(fd, &raw const change, 1, ptr::null_mut(), 0, ptr::null()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next event, waited for; without `waits`, `None` when there is none now.
    ///
    /// # Errors
    /// `EINTR`.
    pub(super) fn next(&self, waits: bool) -> io::Result<Option<Event>> {
        let mut event = libc::kevent {
            ident: 0,
            filter: 0,
            flags: 0,
            fflags: 0,
            data: 0,
            udata: ptr::null_mut(),
        };
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let within = if waits { ptr::null() } else { &raw const now };
        let fd = self.0.as_raw_fd();
        // SAFETY: no changes, and room for one event; the time lives.
        let count = unsafe { libc::kevent(fd, ptr::null(), 0, &raw mut event, 1, within) };
        match count {
            0 => Ok(None),
            1 => {
                let is_end = event.flags & libc::EV_EOF != 0;
                Ok(Some(Event { bytes: event.data, is_end }))
            }
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

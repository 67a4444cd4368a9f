//! A listening socket of the engine, which can be closed at any moment.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    task::AbortHandle,
};

use super::{
    super::core::driver::Socket,
    accept_guard::AcceptGuard,
    fd_store::{FdStore, Stored},
};
use crate::{
    protocol::control::Query,
    sys::{
        errno,
        failure::Failure,
        listen::{self, Bound, Endpoint, Keeper},
        scarce_descriptors, watched,
    },
};

/// The only owner of the engine's descriptor, so that closing it closes it at once, whatever task waits for
/// connections meanwhile.
pub(crate) struct ListeningSocket {
    open: RefCell<Option<Open>>,
    /// Who accepts from it.
    used_by: UsedBy,
    /// Whether workers have it, or have had it, as well.
    is_lent: Cell<bool>,
    guard: Rc<AcceptGuard>,
    /// Until it is closed, where the service manager stores it as well.
    stored: RefCell<Option<Stored>>,
    /// The task that waits for its connections.
    task: OnceCell<AbortHandle>,
}

/// Who accepts from a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsedBy {
    /// All workers do, at once.
    AllWorkers,
    /// The engine, or one worker at a time.
    One,
}

struct Open {
    // Dropped first: a descriptor has to be open when its watch ends.
    watch: Option<AsyncFd<Rc<Bound>>>,
    bound: Rc<Bound>,
}

impl ListeningSocket {
    pub(super) fn new(bound: Bound, used_by: UsedBy, guard: Rc<AcceptGuard>) -> Self {
        let open = RefCell::new(Some(Open { watch: None, bound: Rc::new(bound) }));
        let (is_lent, stored, task) = Default::default();
        Self { open, used_by, is_lent, guard, stored, task }
    }

    /// Has the service manager store it until it is closed, if this process decides about it.
    pub(super) fn keep_in(&self, store: &Rc<FdStore>) {
        if let Some(open) = self.open.borrow().as_ref() {
            *self.stored.borrow_mut() = store.store(&open.bound);
        }
    }

    /// This process decides about it from now on: the other primary has until now.
    pub(super) fn own(&self) {
        if let Some(open) = self.open.borrow().as_ref() {
            open.bound.own();
        }
    }

    /// Another process decides about it from now on, so this one neither ends listening nor removes a file.
    pub(super) fn disown(&self) {
        if let Some(open) = self.open.borrow().as_ref() {
            open.bound.disown();
        }
        if let Some(stored) = self.stored.take() {
            stored.leave();
        }
    }

    /// As [`disown`](Self::disown), where the service manager stores it for the next primary.
    pub(super) fn leave_stored(&self) {
        if self.stored.borrow().is_some() {
            self.disown();
        }
    }

    /// Whether the service manager has bound it.
    pub(super) fn is_activated(&self) -> bool {
        self.keeper() == Some(Keeper::ServiceManager)
    }

    /// Whether the file of a Unix socket is removed when this closes.
    pub(super) fn has_file(&self) -> bool {
        self.open.borrow().as_ref().is_some_and(|open| open.bound.has_file())
    }

    fn keeper(&self) -> Option<Keeper> {
        self.open.borrow().as_ref().and_then(|open| open.bound.keeper())
    }

    /// The task ends when the socket is closed.
    pub(super) fn set_task(&self, task: AbortHandle) {
        // There is one, at most.
        let _ = self.task.set(task);
    }

    /// Whether it has not been closed.
    pub(super) fn is_open(&self) -> bool {
        self.open.borrow().is_some()
    }

    /// Ends listening, unless something else keeps the socket; see [`listen::stop`].
    pub(super) fn stop(&self) {
        if let Some(open) = self.open.borrow().as_ref()
            && open.bound.keeper().is_none()
        {
            listen::stop(open.bound.socket.as_raw_fd());
        }
    }

    /// Closes the descriptor, and removes the file of a Unix socket. All other calls fail from then on,
    /// or wait for ever.
    pub(super) fn close_descriptor(&self) {
        drop(self.open.take());
        drop(self.stored.take());
    }

    /// Another socket on the same address; see [`listen::sibling`].
    pub(super) fn sibling(&self, query: &Query) -> io::Result<Bound> {
        self.with(|bound| {
            // One that was adopted may not have allowed it.
            listen::allow_siblings(bound)?;
            listen::sibling(bound, query)
        })
    }

    /// A further descriptor of it, for a process that is to take over.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        self.with(|bound| bound.socket.try_clone())
    }

    /// The number of its descriptor, while it is open.
    pub(super) fn number(&self) -> Option<RawFd> {
        self.open.borrow().as_ref().map(|open| open.bound.as_raw_fd())
    }

    /// What its connections have in common with it.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.open.borrow().as_ref().and_then(|open| listen::endpoint(&*open.bound))
    }

    /// Accepts the next connection; see [`listen::accept`].
    pub(super) fn accept(&self) -> Result<Option<OwnedFd>, Failure> {
        let open = self.open.borrow();
        open.as_ref().map_or(Err(Failure::Gone), |open| self.accept_from(&open.bound))
    }

    fn accept_from(&self, bound: &Bound) -> Result<Option<OwnedFd>, Failure> {
        if self.is_lent.get() {
            self.guard.run(bound.as_raw_fd(), || listen::accept_shared(bound))
        } else {
            listen::accept(bound)
        }
    }

    /// As [`accept`](Self::accept), while the socket is watched. [`Failure::WouldBlock`] makes
    /// [`readable`](Self::readable) wait for the next connection.
    pub(super) fn accept_watched(&self) -> Result<Option<OwnedFd>, Failure> {
        let open = self.open.borrow();
        let watch = open.as_ref().and_then(|open| open.watch.as_ref()).ok_or(Failure::Gone)?;
        watched::try_ready(watch, Interest::READABLE, |bound| self.accept_from(bound))
    }

    /// Begins to watch the socket: the engine wakes for each connection.
    ///
    /// # Errors
    /// As [`watched::watch`].
    pub(super) fn watch(&self) -> Result<(), Failure> {
        if let Some(open) = self.open.borrow_mut().as_mut() {
            let watch = watched::watch(Rc::clone(&open.bound), Interest::READABLE);
            open.watch = Some(watch.map_err(|(_, failure)| failure)?);
        }
        Ok(())
    }

    pub(super) fn unwatch(&self) {
        if let Some(open) = self.open.borrow_mut().as_mut() {
            open.watch = None;
        }
    }

    /// Waits until a connection waits at the watched socket.
    pub(super) async fn readable(&self) {
        poll_fn(|context| self.poll_readable(context)).await;
    }

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.open.borrow().as_ref().and_then(|open| open.watch.as_ref()) {
            Some(watch) => watch.poll_read_ready(context).map(drop),
            // The task that asks is about to be ended.
            None => Poll::Pending,
        }
    }

    fn with<T>(&self, call: impl FnOnce(&Bound) -> io::Result<T>) -> io::Result<T> {
        self.open.borrow().as_ref().map_or_else(|| Err(closed()), |open| call(&open.bound))
    }
}

impl Socket for Rc<ListeningSocket> {
    type Connection = OwnedFd;
    type Duplicate = OwnedFd;

    fn duplicate(&self) -> Result<OwnedFd, i32> {
        self.is_lent.set(true);
        let duplicate = self.with(|bound| {
            if self.used_by == UsedBy::One {
                // Another worker may have had it before.
                listen::reset_options(bound)?;
            }
            bound.socket.try_clone()
        });
        duplicate.map_err(|error| errno(&error))
    }

    fn is_listening(&self) -> bool {
        self.open.borrow().as_ref().is_some_and(|open| listen::is_listening(&*open.bound))
    }

    fn is(&self, fd: i32) -> bool {
        self.number() == Some(fd)
    }

    fn backlog(&self) -> usize {
        self.open.borrow().as_ref().map_or(0, |open| listen::backlog(&*open.bound))
    }

    fn accept_backlog(&self, query: &Query, take: &mut dyn FnMut(OwnedFd)) -> bool {
        // They go on waiting at the socket, which stays open elsewhere.
        if self.keeper().is_some() {
            return true;
        }
        let scarce = scarce_descriptors();
        // The kernel keeps one more than it is asked for; those that come meanwhile come too late.
        for _ in 0..=listen::wanted_backlog(query) {
            match self.accept() {
                Ok(Some(connection)) => {
                    // The lowest number that was free: all below are in use.
                    let is_last = connection.as_raw_fd() >= scarce;
                    take(connection);
                    if is_last {
                        return false;
                    }
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        true
    }

    fn disown(&self) {
        ListeningSocket::disown(self);
    }

    fn close(&self, is_last: bool) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
        if is_last {
            self.stop();
        }
        self.close_descriptor();
    }
}

fn closed() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

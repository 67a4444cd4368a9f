//! The engine's sending end of a hand-off queue, and what it is watched for.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    task::{Poll, ready},
    time::Instant,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{sleep, sleep_until},
};

use crate::sys::{
    failure::{Failure, Fault, SHORTAGE_PAUSE},
    watched,
};

/// The sending end of a hand-off queue. It is watched for room only while it is full, or has just been: otherwise each
/// connection that the worker takes would wake the engine.
pub(in crate::primary::driver) struct Queue {
    // Dropped first: a descriptor has to be open when its watch ends.
    watch: RefCell<Option<Watch>>,
    /// Why it can't be watched any longer.
    fault: Cell<Option<Fault>>,
    socket: Rc<OwnedFd>,
}

struct Watch {
    queue: AsyncFd<Rc<OwnedFd>>,
    sees_room: bool,
}

impl Watch {
    fn new(socket: &Rc<OwnedFd>, sees_room: bool) -> Result<Self, Failure> {
        let readable = Interest::READABLE;
        let interest = if sees_room { readable | Interest::WRITABLE } else { readable };
        let queue = watched::watch(Rc::clone(socket), interest).map_err(|(_, failure)| failure)?;
        Ok(Self { queue, sees_room })
    }
}

impl Queue {
    /// Watches the queue for what a worker must not do.
    ///
    /// # Errors
    /// The descriptor with the failure of [`watched::watch`].
    pub(in crate::primary::driver) fn watch(
        socket: Rc<OwnedFd>,
    ) -> Result<Self, (Rc<OwnedFd>, Failure)> {
        match Watch::new(&socket, false) {
            Ok(watch) => {
                Ok(Self { watch: RefCell::new(Some(watch)), fault: Cell::default(), socket })
            }
            Err(failure) => Err((socket, failure)),
        }
    }

    /// The queue is full: the kernel has just refused a connection.
    pub(super) fn show_full(&self) {
        if let Some(watch) = self.watch.borrow().as_ref().filter(|it| it.sees_room) {
            watched::show_blocked(&watch.queue, Interest::WRITABLE);
        }
    }

    /// Watches the queue for room as well. If there is room already, [`has_room`](Self::has_room) says so.
    pub(in crate::primary::driver) fn watch_room(&self) {
        if !self.watch.borrow().as_ref().is_some_and(|it| it.sees_room) {
            self.change_watch(true);
        }
    }

    /// Does not watch for room any longer.
    pub(in crate::primary::driver) fn unwatch_room(&self) {
        self.change_watch(false);
    }

    fn change_watch(&self, sees_room: bool) {
        // A descriptor can be watched only once.
        self.watch.take();
        match Watch::new(&self.socket, sees_room) {
            Ok(watch) => *self.watch.borrow_mut() = Some(watch),
            Err(Failure::Fault(fault)) => self.fault.set(Some(fault)),
            // It is tried again.
            Err(_) => {}
        }
    }

    /// Waits until the queue is of no use any more: the worker does what it must not, because it sends something or
    /// ends the queue, or the kernel refuses to watch it, for the reason that is returned.
    pub(in crate::primary::driver) async fn ended(&self) -> Option<Fault> {
        loop {
            let is_misused = poll_fn(|context| match &*self.watch.borrow() {
                Some(watch) => watch.queue.poll_read_ready(context).map(|_| true),
                None => Poll::Ready(false),
            });
            if is_misused.await {
                return None;
            }
            if let Some(fault) = self.fault.get() {
                return Some(fault);
            }
            // The kernel had no memory for a watch.
            sleep(SHORTAGE_PAUSE).await;
            if self.watch.borrow().is_none() {
                self.change_watch(false);
            }
        }
    }

    /// Waits until there may be room, and it is time to try. Where room is not watched for, because the kernel had no
    /// memory for that, each time has a pause before it.
    pub(in crate::primary::driver) async fn has_room(&self, retry: Instant) {
        // A sleep until now would last for a tick of the runtime's.
        if retry > Instant::now() {
            sleep_until(retry.into()).await;
        }
        let sees_room = poll_fn(|context| match &*self.watch.borrow() {
            Some(watch) if watch.sees_room => {
                // It fails only when the runtime ends.
                let _ = ready!(watch.queue.poll_write_ready(context));
                Poll::Ready(true)
            }
            _ => Poll::Ready(false),
        });
        if !sees_room.await {
            sleep(SHORTAGE_PAUSE).await;
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd},
    rc::Rc,
};

use super::{
    handlers::Handlers,
    inner::Inner,
    listening_socket::{ListeningSocket, Ownership},
};
use crate::{
    protocol::{ListenerId, control::ToPrimary},
    sys::{
        failure::Failure,
        listen,
        node::{Called, Poll, Readiness},
    },
    worker::Taken,
};

/// How many connections to take, or accept, in one turn of the event loop. A connection that was taken
/// can't be given to another worker any more. So there are enough to share the fixed cost of a turn,
/// and few enough that a handler which blocks holds up hardly any.
const TAKEN_A_TURN: usize = 6;

impl Inner {
    pub(super) fn watch_socket(
        self: &Rc<Self>,
        listener: ListenerId,
        ownership: Ownership,
        socket: OwnedFd,
        handlers: &Rc<Handlers>,
    ) -> io::Result<()> {
        let (inner, used) = (Rc::downgrade(self), Rc::clone(handlers));
        let poll = Poll::new(handlers.event_loop, socket.as_raw_fd(), move |_| {
            if let Some(inner) = inner.upgrade() {
                inner.accept(listener, &used);
            }
        })?;
        poll.unreference();
        poll.wait_for(self.readiness());
        self.sockets.borrow_mut().insert(listener, ListeningSocket { poll, socket, ownership });
        Ok(())
    }

    /// Stops accepting from sockets of the worker's own, or accepts again.
    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.set(paused);
        self.watch_sockets();
    }

    pub(super) fn watch_sockets(&self) {
        for socket in self.sockets.borrow().values() {
            socket.poll.wait_for(self.readiness());
        }
    }

    /// What to wait for at a listening socket. A pause concerns shared sockets too: the engine asks for it only
    /// where that is meant.
    pub(super) fn readiness(&self) -> Readiness {
        if self.paused.get() || self.drains.get() || self.exhausted.get() {
            Readiness::NONE
        } else {
            Readiness::READ
        }
    }

    pub(super) fn accept(&self, listener: ListenerId, handlers: &Handlers) {
        for _ in 0..TAKEN_A_TURN {
            // A handler may have closed the server, or paused the worker.
            let (ownership, accepted) = match self.sockets.borrow().get(&listener) {
                Some(&ListeningSocket { ownership, ref socket, .. })
                    if self.readiness().readable =>
                {
                    (ownership, self.accept_from(ownership, socket))
                }
                _ => return,
            };
            match accepted {
                Ok(None) => {}
                Ok(Some(connection)) => {
                    let mut is_served = true;
                    handlers.caller.enter(|| {
                        is_served = match ownership {
                            Ownership::Own { .. } => self.deliver(handlers, listener, connection),
                            Ownership::Shared => {
                                // JavaScript owns the descriptor, even if the handler throws.
                                handlers.accepted(listener, connection.into_raw_fd());
                                true
                            }
                        }
                    });
                    if !is_served {
                        // Wait until the engine resumes this worker.
                        return self.unwatch(listener);
                    }
                }
                Err(Failure::WouldBlock) => return,
                Err(Failure::Shortage(_)) => return self.report_exhausted(),
                // A listening socket has no peer.
                Err(Failure::Gone) => return,
                Err(Failure::Fault(fault)) => {
                    return match ownership {
                        Ownership::Own { .. } if fault.errno == libc::EINVAL => {
                            self.report_lost_socket(listener);
                        }
                        Ownership::Own { .. } => self.give_up(handlers, fault.into()),
                        // The primary may have shut down the socket while this worker goes on without
                        // it.
                        Ownership::Shared => {
                            self.unwatch(listener);
                            handlers.caller.enter(|| handlers.accepted(listener, -fault.errno));
                        }
                    };
                }
            }
        }
    }

    pub(super) fn unwatch(&self, listener: ListenerId) {
        if let Some(socket) = self.sockets.borrow().get(&listener) {
            socket.poll.wait_for(Readiness::NONE);
        }
    }

    pub(super) fn accept_from(
        &self,
        ownership: Ownership,
        socket: &OwnedFd,
    ) -> Result<Option<OwnedFd>, Failure> {
        match ownership {
            Ownership::Own { slot } => listen::accept(socket)
                .inspect(|it| it.iter().for_each(|_| self.counters.add_accepted(slot))),
            Ownership::Shared => listen::accept_shared(socket),
        }
    }

    /// Offers a connection to JavaScript. Returns false if JavaScript refused it, and the engine got
    /// it.
    pub(super) fn deliver(
        &self,
        handlers: &Handlers,
        listener: ListenerId,
        connection: OwnedFd,
    ) -> bool {
        let Handlers { caller, on_connection, .. } = handlers;
        let args = (listener, connection.as_raw_fd()).into();
        match caller.call(on_connection, args) {
            Called::Returned(false) => {
                self.report(&ToPrimary::Return { listener }, Some(connection));
                self.counters.add_closed();
                false
            }
            Called::Returned(true) => {
                let _ = connection.into_raw_fd();
                true
            }
            // A getter of the user's server threw: close the connection.
            Called::Failed => {
                self.counters.add_closed();
                true
            }
        }
    }

    pub(super) fn connections_ready(self: &Rc<Self>, _: Readiness, handlers: &Rc<Handlers>) {
        let caller = &handlers.caller;
        for _ in 0..TAKEN_A_TURN {
            if self.exhausted.get() {
                return;
            }
            match self.connections.take() {
                Ok(Taken::Connection(listener, connection)) => {
                    self.counters.add_taken();
                    // The reply that names the listener came first, but on the control socket.
                    if self.unanswered.get() > 0 {
                        self.read_control(handlers);
                        self.deliver_all_replies(handlers);
                    }
                    caller.enter(|| _ = self.deliver(handlers, listener, connection));
                }
                Ok(Taken::Lost) => {
                    self.counters.add_taken();
                    self.counters.add_closed();
                }
                Ok(Taken::Exhausted) => return self.report_exhausted(),
                Ok(Taken::Empty) => return,
                Ok(Taken::Later) => {
                    self.takes_later.set(true);
                    return self.wait();
                }
                Ok(Taken::Ended) => return self.end(handlers),
                Err(error) => return self.give_up(handlers, error),
            }
            // For most connections this saves a system call that would find nothing.
            if !self.counters.has_more() {
                return;
            }
        }
    }
}

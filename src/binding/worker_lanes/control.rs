use std::{
    io,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
};

use super::{handlers::Handlers, inner::Inner, listening_socket::Ownership, query::ListenReply};
use crate::{
    binding::ipc_channel::Alongside,
    protocol::{
        ListenerId,
        control::{Reply, SocketKind, ToPrimary},
    },
    sys::{errno, node::Readiness},
    worker::Received,
};

impl Alongside for Weak<Inner> {
    fn receive(&self) -> Vec<u64> {
        let Some(inner) = self.upgrade().filter(|it| it.unanswered.get() > 0) else {
            return Vec::new();
        };
        if inner.open.get()
            && let Some(handlers) = inner.handlers()
        {
            inner.receive_control(&handlers);
        }
        inner.replies.borrow().iter().map(|(reply, _)| reply.after).collect()
    }

    fn deliver(&self, messages: u64) -> bool {
        let inner = self.upgrade();
        let handlers = inner.as_ref().and_then(|it| it.handlers());
        inner.zip(handlers).is_some_and(|(it, handlers)| it.deliver_replies(&handlers, messages))
    }
}

impl Inner {
    pub(super) fn control_ready(self: &Rc<Self>, ready: Readiness, handlers: &Rc<Handlers>) {
        if ready.writable {
            self.control.borrow_mut().flush();
        }
        self.reads_later.set(false);
        if self.open.get() {
            self.read_control(handlers);
        }
        self.wait();
    }

    /// In Node, replies and messages come on one channel, and what comes together is delivered in one
    /// callback.
    pub(super) fn read_control(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        self.receive_control(handlers);
        if !self.replies.borrow().is_empty() {
            self.messages.read_all();
        }
        if !self.messages.is_reading() {
            self.deliver_all_replies(handlers);
        }
    }

    /// Delivers the replies that have come, even before messages that have not.
    pub(super) fn deliver_all_replies(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        while !self.replies.borrow().is_empty() {
            handlers.caller.enter(|| _ = self.deliver_replies(handlers, u64::MAX));
        }
    }

    /// Delivers replies that follow this many messages, up to one with a socket, which in Node is the
    /// last of its callback. Returns whether there was one.
    pub(super) fn deliver_replies(self: &Rc<Self>, handlers: &Rc<Handlers>, messages: u64) -> bool {
        loop {
            let mut replies = self.replies.borrow_mut();
            let due = replies.front().is_some_and(|(reply, _)| reply.after <= messages);
            let Some((reply, shared)) = due.then(|| replies.pop_front()).flatten() else {
                return false;
            };
            let has_socket = shared.is_some();
            drop(replies);
            self.unanswered.set(self.unanswered.get().saturating_sub(1));
            let reply = self.adopt_socket(reply, shared, handlers);
            let Handlers { caller, on_reply, .. } = &**handlers;
            caller.call(on_reply, (reply,).into());
            if has_socket {
                return true;
            }
        }
    }

    /// Does what the engine asks, but only stores its replies.
    pub(super) fn receive_control(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        loop {
            let received = self.control.borrow().receive();
            match received {
                Ok(Received::Reply(reply, shared)) => {
                    self.replies.borrow_mut().push_back((reply, shared));
                }
                Ok(Received::Closed(listener)) => {
                    if self.closing.borrow_mut().remove(&listener) {
                        handlers.closed(listener);
                    }
                }
                Ok(Received::Socket { listener, slot, socket }) => {
                    self.replace_socket(listener, slot, socket, handlers);
                }
                Ok(Received::Probe) => {
                    self.report(&ToPrimary::Alive, None);
                }
                Ok(Received::Pause) => self.set_paused(true),
                Ok(Received::Resume) => self.set_paused(false),
                Ok(Received::Withhold) => handlers.withheld(true),
                Ok(Received::Admit) => handlers.withheld(false),
                Ok(Received::TicketKeys(keys)) => handlers.ticket_keys(&keys),
                Ok(Received::Drain(order)) => {
                    self.drains.set(true);
                    self.watch_sockets();
                    handlers.drain(order.into());
                }
                Ok(Received::Empty) => return,
                Ok(Received::Later) => {
                    self.reads_later.set(true);
                    return self.wait();
                }
                Ok(Received::Ended) => return self.end(handlers),
                Err(error) => return self.give_up(handlers, error),
            }
        }
    }

    /// Starts to accept from the socket of a reply, if it has one.
    pub(super) fn adopt_socket(
        self: &Rc<Self>,
        reply: Reply,
        socket: Option<OwnedFd>,
        handlers: &Rc<Handlers>,
    ) -> ListenReply {
        let Some(kind) = reply.socket else {
            if reply.errno == 0 {
                self.without_socket.borrow_mut().insert(reply.listener);
            }
            return ListenReply::new(reply, None);
        };
        let listener = reply.listener;
        // This process had no descriptor left for the socket.
        let socket = socket.ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE));
        let taken = socket.and_then(|socket| match kind {
            SocketKind::Shared => Ok(Some(socket)),
            SocketKind::Own { slot } => self
                .watch_socket(listener, Ownership::Own { slot }, socket, handlers)
                .map(|()| None),
        });
        match taken {
            Ok(shared) => ListenReply::new(reply, shared),
            Err(error) => {
                self.leave(listener);
                ListenReply::new(Reply { errno: errno(&error), ..reply }, None)
            }
        }
    }

    /// Another process has shut down the worker's own socket of this listener. Asks the engine for
    /// another.
    pub(super) fn report_lost_socket(&self, listener: ListenerId) {
        drop(self.sockets.borrow_mut().remove(&listener));
        self.lost.borrow_mut().insert(listener);
        self.report(&ToPrimary::Lost { listener }, None);
    }

    /// Uses another socket of the worker's own, instead of one that was lost, even if the worker has
    /// not noticed the loss yet. It may also be the first.
    pub(super) fn replace_socket(
        self: &Rc<Self>,
        listener: ListenerId,
        slot: Option<u8>,
        socket: Option<OwnedFd>,
        handlers: &Rc<Handlers>,
    ) {
        let had_socket = self.sockets.borrow_mut().remove(&listener).is_some();
        let had_none = self.without_socket.borrow_mut().remove(&listener);
        if !(self.lost.borrow_mut().remove(&listener) || had_socket || had_none) {
            // The server is not there yet, or was closed meanwhile.
            if self.replies.borrow().iter().any(|(reply, _)| reply.listener == listener) {
                self.report(&ToPrimary::Lost { listener }, None);
            }
            return;
        }
        let ownership = Ownership::Own { slot };
        // This process had no descriptor left for the socket.
        let socket = socket.ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE));
        if socket
            .and_then(|socket| self.watch_socket(listener, ownership, socket, handlers))
            .is_err()
        {
            self.lost.borrow_mut().insert(listener);
            self.report_exhausted();
        }
    }

    /// Leaves a listener that this process can't serve.
    pub(super) fn leave(&self, listener: ListenerId) {
        self.report(&ToPrimary::Close { listener }, None);
    }
}

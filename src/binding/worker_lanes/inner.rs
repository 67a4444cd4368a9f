use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    os::fd::OwnedFd,
    rc::Rc,
};

use super::{handlers::Handlers, listening_socket::ListeningSocket};
use crate::{
    binding::{callback::reason, ipc_channel::IpcChannel},
    error::Error,
    protocol::{
        ListenerId,
        control::{Reply, ToPrimary},
    },
    sys::{
        failure::SHORTAGE_PAUSE,
        node::{Poll, Readiness, Timer, Turns},
        ring::SharedCounters,
    },
    worker::{Connections, Control, Watchdog},
};

/// The lanes of this worker, and their state.
pub(super) struct Inner {
    pub(super) messages: IpcChannel,
    pub(super) control: RefCell<Control>,
    pub(super) connections: Connections,
    pub(super) counters: SharedCounters,
    /// Sockets that this process accepts from.
    pub(super) sockets: RefCell<HashMap<ListenerId, ListeningSocket>>,
    /// Listeners of which this worker has no socket. It may get one of its own later, when the primary takes the place
    /// of another.
    pub(super) without_socket: RefCell<HashSet<ListenerId>>,
    /// Listeners whose own socket this worker has lost, until it gets another.
    pub(super) lost: RefCell<HashSet<ListenerId>>,
    /// Whether the worker is paused, and accepts nothing from its own sockets.
    pub(super) paused: Cell<bool>,
    /// Whether the worker drains, and accepts nothing more.
    pub(super) drains: Cell<bool>,
    /// Whether this process has no descriptor for a connection. Until it has one, nothing is taken or
    /// accepted.
    pub(super) exhausted: Cell<bool>,
    pub(super) watchdog: Watchdog,
    /// Whether the engine looks at the turns of the event loop: that of a worker with a watchdog lane.
    pub(super) counts_turns: bool,
    pub(super) started: RefCell<Option<Started>>,
    pub(super) seq: Cell<u32>,
    /// How many replies have not been delivered yet.
    pub(super) unanswered: Cell<u32>,
    /// Replies that have come but are not delivered yet, with their sockets.
    pub(super) replies: RefCell<VecDeque<(Reply, Option<OwnedFd>)>>,
    /// Listeners that this worker has closed, until the engine confirms it.
    pub(super) closing: RefCell<HashSet<ListenerId>>,
    /// Whether the primary may still send.
    pub(super) open: Cell<bool>,
    /// Whether to read the control socket again only after a pause.
    pub(super) reads_later: Cell<bool>,
    /// Whether to take connections again only after a pause.
    pub(super) takes_later: Cell<bool>,
}

pub(super) struct Started {
    pub(super) handlers: Rc<Handlers>,
    pub(super) control: Poll,
    pub(super) connections: Poll,
    /// For what the polls do not report.
    pub(super) retry: Timer,
    /// Counts the turns of the event loop, if the engine looks at that.
    pub(super) _turns: Option<Turns>,
}

impl Inner {
    pub(super) fn handlers(&self) -> Option<Rc<Handlers>> {
        self.started.borrow().as_ref().map(|it| Rc::clone(&it.handlers))
    }

    pub(super) fn send(
        &self,
        request: &ToPrimary,
        descriptor: Option<OwnedFd>,
    ) -> napi::Result<()> {
        let sent = self.control.borrow_mut().send(request, descriptor);
        self.wait();
        sent.map_err(reason)
    }

    /// Like [`send`](Self::send), for a request that is never too long, which is the only reason for a
    /// failure.
    pub(super) fn report(&self, request: &ToPrimary, descriptor: Option<OwnedFd>) {
        let _ = self.send(request, descriptor);
    }

    pub(super) fn wait(&self) {
        let control = self.control.borrow();
        let (open, is_broken) = (self.open.get(), control.fault().is_some());
        let reads_later = self.reads_later.get();
        let takes_later = self.takes_later.get() || self.exhausted.get();
        let readable = open && !is_broken && !reads_later;
        let writable = !control.is_idle() && !control.sends_later();
        if let Some(started) = self.started.borrow().as_ref() {
            started.control.wait_for(Readiness { readable, writable });
            let readable = open && !takes_later;
            started.connections.wait_for(Readiness { readable, writable: false });
            let is_short = control.sends_later() || self.exhausted.get();
            if is_short || (open && (is_broken || reads_later || takes_later)) {
                started.retry.start(SHORTAGE_PAUSE);
            }
        }
    }

    /// A shortage may be over, or a call that must not call back has left something to report.
    pub(super) fn try_again(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        let fault = self.control.borrow().fault().filter(|_| self.open.get());
        if let Some(fault) = fault {
            return self.give_up(handlers, fault.into());
        }
        self.control_ready(Readiness { readable: true, writable: true }, handlers);
        if self.exhausted.get() {
            self.try_to_recover();
        } else if self.open.get() && self.takes_later.replace(false) {
            self.connections_ready(Readiness::READ, handlers);
        }
        self.wait();
    }

    /// Reports that this process has no descriptor for a connection, so others get what comes.
    pub(super) fn report_exhausted(&self) {
        self.exhausted.set(true);
        self.watch_sockets();
        self.report(&ToPrimary::Exhausted, None);
    }

    /// Checks whether there are descriptors again.
    pub(super) fn try_to_recover(&self) {
        if !self.connections.is_exhausted() {
            self.exhausted.set(false);
            self.watch_sockets();
            self.report(&ToPrimary::Recovered, None);
            let lost = self.lost.borrow().clone();
            lost.into_iter().for_each(|listener| self.report_lost_socket(listener));
        }
    }

    /// Stops waiting, because a socket that has ended stays readable. The primary is gone, which the
    /// IPC channel reports to JavaScript.
    pub(super) fn end(&self, handlers: &Handlers) {
        self.open.set(false);
        self.wait();
        let closing = self.closing.take();
        closing.into_iter().for_each(|listener| handlers.closed(listener));
    }

    /// Gives up after a fault: JavaScript ends this worker.
    pub(super) fn give_up(&self, handlers: &Handlers, error: Error) {
        self.end(handlers);
        let Handlers { caller, on_garbage, .. } = handlers;
        caller.enter(|| _ = caller.call(on_garbage, (error.to_string(),).into()));
    }
}

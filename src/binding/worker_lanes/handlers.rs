use std::os::fd::RawFd;

use napi::bindgen_prelude::{FnArgs, Function, FunctionRef};
use napi_derive::napi;

use super::{drain::WorkerDrain, query::ListenReply};
use crate::{
    binding::callback::Caller,
    protocol::{ListenerId, secret::Secret},
    sys::node::EventLoop,
};

/// The answer of the engine.
type OnReply = FnArgs<(ListenReply,)>;
/// The listener, and the descriptor of a connection or a negated errno.
type OnConnection = FnArgs<(u32, i32)>;
/// The listener.
type OnClosed = FnArgs<(u32,)>;
/// What was invalid.
type OnGarbage = FnArgs<(String,)>;
/// Whether the worker is withheld.
type OnWithheld = FnArgs<(bool,)>;
/// The keys of session tickets.
type OnTicketKeys = FnArgs<(Vec<String>,)>;
/// How the worker is to drain.
type OnDrain = FnArgs<(WorkerDrain,)>;

/// The functions that a worker's lanes call.
#[napi(object, object_to_js = false)]
pub struct WorkerHandlers<'a> {
    /// Gets the answers to `listen`.
    pub on_reply: Function<'a, OnReply, ()>,
    /// Gets each connection, and returns whether it took it: if so, it owns the descriptor; if not, the
    /// connection goes to another worker.
    pub on_connection: Function<'a, OnConnection, bool>,
    /// Gets each connection that `accept` has accepted, and owns the descriptor; or once a negated errno,
    /// when no more can be accepted.
    pub on_shared_connection: Function<'a, OnConnection, ()>,
    /// Is called when a listener that was closed here is closed in the primary too.
    pub on_closed: Function<'a, OnClosed, ()>,
    /// Is called when the primary has sent invalid data.
    pub on_garbage: Function<'a, OnGarbage, ()>,
    /// Is called when the worker is to drain, and again when it gets less time for that.
    pub on_drain: Function<'a, OnDrain, ()>,
    /// Is called with true when the worker is not to have anything from sockets that it shares with others, and
    /// with false when it may again.
    pub on_withheld: Function<'a, OnWithheld, ()>,
    /// Gets the keys of TLS session tickets after `askForTicketKeys`, and whenever they change: in hexadecimal
    /// digits, the current one first.
    pub on_ticket_keys: Function<'a, OnTicketKeys, ()>,
}

/// The JavaScript functions to call.
pub(super) struct Handlers {
    pub(super) event_loop: EventLoop,
    pub(super) caller: Caller,
    pub(super) on_reply: FunctionRef<OnReply, ()>,
    pub(super) on_connection: FunctionRef<OnConnection, bool>,
    pub(super) on_shared_connection: FunctionRef<OnConnection, ()>,
    pub(super) on_closed: FunctionRef<OnClosed, ()>,
    pub(super) on_garbage: FunctionRef<OnGarbage, ()>,
    pub(super) on_drain: FunctionRef<OnDrain, ()>,
    pub(super) on_withheld: FunctionRef<OnWithheld, ()>,
    pub(super) on_ticket_keys: FunctionRef<OnTicketKeys, ()>,
}

impl Handlers {
    pub(super) fn new(
        event_loop: EventLoop,
        caller: Caller,
        handlers: &WorkerHandlers<'_>,
    ) -> napi::Result<Self> {
        Ok(Self {
            event_loop,
            caller,
            on_reply: handlers.on_reply.create_ref()?,
            on_connection: handlers.on_connection.create_ref()?,
            on_shared_connection: handlers.on_shared_connection.create_ref()?,
            on_closed: handlers.on_closed.create_ref()?,
            on_garbage: handlers.on_garbage.create_ref()?,
            on_drain: handlers.on_drain.create_ref()?,
            on_withheld: handlers.on_withheld.create_ref()?,
            on_ticket_keys: handlers.on_ticket_keys.create_ref()?,
        })
    }

    /// Call this inside [`Caller::enter`].
    pub(super) fn accepted(&self, listener: ListenerId, fd: RawFd) {
        self.caller.call(&self.on_shared_connection, (listener, fd).into());
    }

    pub(super) fn closed(&self, listener: ListenerId) {
        self.caller.enter(|| _ = self.caller.call(&self.on_closed, (listener,).into()));
    }

    /// The worker is withheld, or is not any more.
    pub(super) fn withheld(&self, is_withheld: bool) {
        self.caller.enter(|| _ = self.caller.call(&self.on_withheld, (is_withheld,).into()));
    }

    pub(super) fn ticket_keys(&self, keys: &[Secret]) {
        let keys = keys.iter().map(|key| key.reveal().to_owned()).collect::<Vec<_>>();
        self.caller.enter(|| _ = self.caller.call(&self.on_ticket_keys, (keys,).into()));
    }

    /// The worker is to drain.
    pub(super) fn drain(&self, order: WorkerDrain) {
        self.caller.enter(|| _ = self.caller.call(&self.on_drain, (order,).into()));
    }
}

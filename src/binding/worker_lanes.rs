use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
    rc::{Rc, Weak},
};

use napi::{
    Env,
    bindgen_prelude::{FnArgs, Function, FunctionRef},
};
use napi_derive::napi;
use serde_json::Value;

use super::{
    callback::{Caller, reason},
    message_lane::{Alongside, MessageLane},
};
use crate::{
    error::Error,
    ipc::Channel,
    protocol::{
        ListenerId,
        control::{self, Query, Reply, SocketKind, Target, ToPrimary},
    },
    sys::{
        duplicate, errno,
        failure::{Failure, SHORTAGE_PAUSE},
        inherit,
        lane::Kind,
        listen,
        node::{Called, EventLoop, Poll, Readiness, Timer},
        ring::{self, SharedCounters},
    },
    worker::{Connections, Control, Received, Taken, Watchdog},
};

/// Connections taken, or accepted, in one turn of the event loop. What is taken can't be given to
/// another worker any more, so it is few: enough that a turn's fixed cost is shared, few enough that
/// a handler that blocks strands next to nothing.
const TAKEN_A_TURN: usize = 6;

/// The address a server wants to serve. Exactly one of `path`, `fd` and `port` says which kind.
#[napi(object)]
pub struct ListenQuery {
    /// An IP address; all of them if missing.
    pub address: Option<String>,
    /// A TCP or UDP port.
    pub port: Option<u16>,
    /// A Unix socket.
    pub path: Option<String>,
    /// A descriptor of the primary.
    pub fd: Option<i32>,
    /// 4 or 6 for UDP.
    pub udp: Option<u32>,
    /// How many connections the kernel may queue; 0 for the default.
    pub backlog: u32,
    /// Bind IPv6 only.
    pub ipv6_only: bool,
    /// Share the UDP port.
    pub reuse_address: bool,
    /// Share the port among sockets.
    pub reuse_port: bool,
    /// Make the Unix socket readable for everybody.
    pub readable_all: bool,
    /// Make the Unix socket writable for everybody.
    pub writable_all: bool,
    /// Tells several `listen(0)` of one worker apart.
    pub index: u32,
    /// JSON of what the server offers to its siblings.
    pub data: Option<String>,
}

impl From<ListenQuery> for Query {
    fn from(query: ListenQuery) -> Self {
        let ListenQuery { address, path, fd, udp, .. } = query;
        let port = query.port.unwrap_or(0);
        let target = match (path, fd, udp) {
            (Some(path), ..) => Target::Unix { path },
            (_, Some(fd), udp) => Target::Descriptor { fd, datagrams: udp.is_some() },
            (.., Some(family)) => Target::Udp { address, port, ipv6: family == 6 },
            _ => Target::Tcp { address, port },
        };
        Self {
            target,
            backlog: query.backlog,
            ipv6_only: query.ipv6_only,
            reuse_address: query.reuse_address,
            reuse_port: query.reuse_port,
            readable_all: query.readable_all,
            writable_all: query.writable_all,
            index: query.index,
        }
    }
}

/// The primary's answer to a `ListenQuery`.
#[napi(object)]
pub struct ListenReply {
    /// What `listen` returned.
    pub seq: u32,
    /// 0, or a negated errno.
    pub errno: i32,
    /// Names the listener, as connections do.
    pub listener: u32,
    /// The shared socket to accept from, the callee's from now on; else -1. From one of its own the
    /// worker's lanes accept, and connections come as others do.
    pub fd: i32,
    /// The bound IP address.
    pub address: Option<String>,
    /// `IPv4` or `IPv6`.
    pub family: Option<String>,
    /// The bound port.
    pub port: Option<u16>,
    /// JSON of what the first worker's server offered.
    pub data: Option<String>,
}

impl ListenReply {
    fn new(reply: Reply, shared: Option<OwnedFd>) -> Self {
        let Reply { seq, errno, listener, address, data, .. } = reply;
        let (address, family, port) = match address {
            Some(bound) => (Some(bound.address), Some(bound.family), Some(bound.port)),
            None => (None, None, None),
        };
        Self {
            seq,
            errno,
            listener,
            fd: shared.map_or(-1, IntoRawFd::into_raw_fd),
            address,
            family,
            port,
            data: data.map(|data| data.to_string()),
        }
    }
}

/// The lanes of this worker, of which there is one set a process.
#[napi]
pub struct WorkerLanes {
    inner: Rc<Inner>,
}

struct Inner {
    messages: MessageLane,
    control: RefCell<Control>,
    connections: Connections,
    counters: SharedCounters,
    /// Sockets that this process accepts from.
    sockets: RefCell<HashMap<ListenerId, ListeningSocket>>,
    /// Listeners of which this worker has lost its own socket, and is to get another.
    lost: RefCell<HashSet<ListenerId>>,
    /// Whether nothing is to be accepted from those of its own.
    paused: Cell<bool>,
    /// Whether this process had no descriptor for a connection. Until it has one, nothing is taken or
    /// accepted.
    exhausted: Cell<bool>,
    watchdog: Watchdog,
    started: RefCell<Option<Started>>,
    seq: Cell<u32>,
    /// How many replies are still to be delivered.
    unanswered: Cell<u32>,
    /// Those of them that have come, with the sockets that they bring.
    replies: RefCell<VecDeque<(Reply, Option<OwnedFd>)>>,
    /// Listeners that this worker has left, as the primary does not know yet.
    closing: RefCell<HashSet<ListenerId>>,
    /// Whether the primary may still send.
    open: Cell<bool>,
    /// Whether the control socket is to be read again only after a pause.
    reads_later: Cell<bool>,
    /// Whether connections are to be taken again only after a pause.
    takes_later: Cell<bool>,
}

/// A listening socket to accept from.
struct ListeningSocket {
    poll: Poll,
    socket: OwnedFd,
    ownership: Ownership,
}

#[derive(Clone, Copy)]
enum Ownership {
    /// Of this worker's own. What it does not take is the engine's, which counts what it takes.
    Own {
        /// What the engine calls it where accepted connections are counted.
        slot: Option<u8>,
    },
    /// The one that all workers have. The engine knows nothing of its connections.
    Shared,
}

struct Started {
    handlers: Rc<Handlers>,
    control: Poll,
    connections: Poll,
    /// For what they do not tell.
    retry: Timer,
}

struct Handlers {
    event_loop: EventLoop,
    caller: Caller,
    on_reply: FunctionRef<FnArgs<(ListenReply,)>, ()>,
    on_connection: FunctionRef<FnArgs<(u32, i32)>, bool>,
    on_shared_connection: FunctionRef<FnArgs<(u32, i32)>, ()>,
    on_closed: FunctionRef<FnArgs<(u32,)>, ()>,
    on_garbage: FunctionRef<FnArgs<(String,)>, ()>,
}

impl Handlers {
    /// Inside [`Caller::enter`].
    fn accepted(&self, listener: ListenerId, fd: RawFd) {
        self.caller.call(&self.on_shared_connection, (listener, fd).into());
    }

    fn closed(&self, listener: ListenerId) {
        self.caller.enter(|| _ = self.caller.call(&self.on_closed, (listener,).into()));
    }
}

#[napi]
impl WorkerLanes {
    /// Takes over the descriptors that the primary left to this process.
    #[napi(constructor)]
    pub fn new(message: i32, control: i32, connection: i32, memory: i32) -> napi::Result<Self> {
        let message = inherit(message, Kind::Stream).map_err(reason)?;
        let ring = ring::inherit(memory).map_err(reason)?;
        let counters = ring.counters.clone();
        let control = Control::new(inherit(control, Kind::Packets).map_err(reason)?);
        let connections = inherit(connection, Kind::Packets).map_err(reason)?;
        let copy = connections.try_clone().map_err(reason)?;
        let watchdog = Watchdog::start(copy).map_err(reason)?;
        let connections = Connections::new(connections);
        let inner = Rc::new(Inner {
            messages: MessageLane::new(Channel::new(message, ring)),
            control: RefCell::new(control),
            connections,
            counters,
            sockets: RefCell::default(),
            lost: RefCell::default(),
            paused: Cell::new(false),
            exhausted: Cell::new(false),
            watchdog,
            started: RefCell::new(None),
            seq: Cell::new(0),
            unanswered: Cell::new(0),
            replies: RefCell::default(),
            closing: RefCell::default(),
            open: Cell::new(true),
            reads_later: Cell::new(false),
            takes_later: Cell::new(false),
        });
        inner.messages.merge(Rc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// The IPC channel.
    #[napi(getter)]
    pub fn message_lane(&self) -> MessageLane {
        self.inner.messages.clone()
    }

    /// Starts to read, without holding the event loop open.
    ///
    /// `onReply(reply)` gets the answers to `listen`; `onConnection(listener, fd)` each connection,
    /// and returns whether it took it: if so, the descriptor is its own from then on, if not, the
    /// connection goes to another worker; `onSharedConnection(listener, fd)` gets each connection that
    /// `accept` has accepted, the descriptor being its own, or once why no more can be accepted, as a
    /// negated errno; `onClosed(listener)` is told that a listener which was closed here is closed in the
    /// primary too; `onGarbage(reason)` hears of a primary that is not ours.
    #[napi]
    pub fn start(
        &self,
        env: Env,
        on_reply: Function<FnArgs<(ListenReply,)>, ()>,
        on_connection: Function<FnArgs<(u32, i32)>, bool>,
        on_shared_connection: Function<FnArgs<(u32, i32)>, ()>,
        on_closed: Function<FnArgs<(u32,)>, ()>,
        on_garbage: Function<FnArgs<(String,)>, ()>,
    ) -> napi::Result<()> {
        let inner = &self.inner;
        if inner.started.borrow().is_some() {
            return Ok(());
        }
        let event_loop = Caller::event_loop(&env)?;
        let handlers = Rc::new(Handlers {
            event_loop,
            caller: Caller::new(env, "rs-cluster.WorkerLanes")?,
            on_reply: on_reply.create_ref()?,
            on_connection: on_connection.create_ref()?,
            on_shared_connection: on_shared_connection.create_ref()?,
            on_closed: on_closed.create_ref()?,
            on_garbage: on_garbage.create_ref()?,
        });
        let poll = |fd, on_ready: fn(&Rc<Inner>, Readiness, &Rc<Handlers>)| {
            let (inner, handlers) = (Rc::downgrade(inner), Rc::clone(&handlers));
            let poll = Poll::new(event_loop, fd, move |ready| {
                if let Some(inner) = inner.upgrade() {
                    on_ready(&inner, ready, &handlers);
                }
            });
            let poll = poll.map_err(reason)?;
            poll.unreference();
            poll.wait_for(Readiness::READ);
            Ok::<_, napi::Error>(poll)
        };
        let control = poll(inner.control.borrow().fd(), Inner::control_ready)?;
        let connections = poll(inner.connections.fd(), Inner::connections_ready)?;
        let (weak, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_time = move || {
            if let Some(inner) = weak.upgrade() {
                inner.try_again(&called);
            }
        };
        let retry = Timer::new(event_loop, on_time).map_err(reason)?;
        retry.unreference();
        env.add_env_cleanup_hook(Rc::clone(inner), |inner| {
            // The lanes close before the process ends, however long that takes.
            inner.watchdog.disarm();
            drop(inner.started.take());
            drop(inner.sockets.take());
        })?;
        inner.started.replace(Some(Started { handlers, control, connections, retry }));
        // Of what was sent before.
        inner.wait();
        Ok(())
    }

    /// Asks to serve an address. Returns the `seq` of the reply to come.
    #[napi]
    pub fn listen(&self, mut query: ListenQuery) -> napi::Result<u32> {
        let data = query.data.take().map(|json| serde_json::from_str::<Value>(&json));
        let data = data.transpose().map_err(reason)?;
        control::check_data(data.as_ref()).map_err(reason)?;
        let seq = self.inner.seq.get().wrapping_add(1);
        self.inner.seq.set(seq);
        self.inner.send(&ToPrimary::Listen { seq, query: query.into(), data }, None)?;
        self.inner.unanswered.set(self.inner.unanswered.get() + 1);
        Ok(seq)
    }

    /// Listens on a shared socket, of which `fd` is the caller's descriptor, and accepts from it until the
    /// listener is closed. Returns 0 or a negated errno.
    #[napi]
    pub fn accept(&self, listener: u32, fd: i32, backlog: i32) -> i32 {
        let Some(handlers) = self.inner.handlers() else { return -libc::EBADF };
        let watched = duplicate(fd).and_then(|socket| {
            listen::start_with(&socket, backlog)?;
            self.inner.watch_socket(listener, Ownership::Shared, socket, &handlers)
        });
        watched.map_or_else(|error| errno(&error), |()| 0)
    }

    /// Says that the server on this listener is closed, and the shared socket if it had one. Returns
    /// whether `onClosed` will be called: the primary may be gone.
    #[napi]
    pub fn close_listener(&self, listener: u32) -> napi::Result<bool> {
        let inner = &self.inner;
        drop(inner.sockets.borrow_mut().remove(&listener));
        inner.lost.borrow_mut().remove(&listener);
        inner.send(&ToPrimary::Close { listener }, None)?;
        let is_open = inner.open.get();
        if is_open {
            inner.closing.borrow_mut().insert(listener);
        }
        Ok(is_open)
    }

    /// Says that a connection which `onConnection` took is closed.
    #[napi]
    pub fn connection_closed(&self) {
        self.inner.counters.add_closed();
    }

    /// Says that this worker has disconnected, and does not exit.
    #[napi]
    pub fn stays(&self) -> napi::Result<()> {
        self.inner.send(&ToPrimary::Staying, None)
    }

    /// Says that JavaScript decides itself when to exit, whether the primary is there or not.
    #[napi]
    pub fn stand_down(&self) {
        self.inner.watchdog.disarm();
    }
}

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
    fn handlers(&self) -> Option<Rc<Handlers>> {
        self.started.borrow().as_ref().map(|it| Rc::clone(&it.handlers))
    }

    fn send(&self, request: &ToPrimary, descriptor: Option<OwnedFd>) -> napi::Result<()> {
        let sent = self.control.borrow_mut().send(request, descriptor);
        self.wait();
        sent.map_err(reason)
    }

    /// As [`send`](Self::send), a request that is never too long: it can't fail for anything else.
    fn tell(&self, request: &ToPrimary, descriptor: Option<OwnedFd>) {
        let _ = self.send(request, descriptor);
    }

    fn wait(&self) {
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

    /// A shortage may be over, or there is something to tell of a call that must not call back.
    fn try_again(self: &Rc<Self>, handlers: &Rc<Handlers>) {
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

    /// This process has no descriptor for a connection: others get what comes.
    fn report_exhausted(&self) {
        self.exhausted.set(true);
        self.watch_sockets();
        self.tell(&ToPrimary::Exhausted, None);
    }

    /// There may be descriptors again.
    fn try_to_recover(&self) {
        if !self.connections.is_exhausted() {
            self.exhausted.set(false);
            self.watch_sockets();
            self.tell(&ToPrimary::Recovered, None);
            let lost = self.lost.borrow().clone();
            lost.into_iter().for_each(|listener| self.report_lost_socket(listener));
        }
    }

    /// The primary is gone, which the IPC channel tells JavaScript. An ended lane would be
    /// readable for ever.
    fn end(&self, handlers: &Handlers) {
        self.open.set(false);
        self.wait();
        let closing = self.closing.take();
        closing.into_iter().for_each(|listener| handlers.closed(listener));
    }

    /// A lane is of no use any more: this worker is to end.
    fn give_up(&self, handlers: &Handlers, error: Error) {
        self.end(handlers);
        let Handlers { caller, on_garbage, .. } = handlers;
        caller.enter(|| _ = caller.call(on_garbage, (error.to_string(),).into()));
    }

    fn control_ready(self: &Rc<Self>, ready: Readiness, handlers: &Rc<Handlers>) {
        if ready.writable {
            self.control.borrow_mut().flush();
        }
        self.reads_later.set(false);
        if self.open.get() {
            self.read_control(handlers);
        }
        self.wait();
    }

    /// In Node, replies and messages come on one channel, and what comes together is one callback.
    fn read_control(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        self.receive_control(handlers);
        if !self.replies.borrow().is_empty() {
            self.messages.read_all();
        }
        if !self.messages.is_reading() {
            self.deliver_all_replies(handlers);
        }
    }

    /// Delivers what has come, even before messages that are still on their way.
    fn deliver_all_replies(self: &Rc<Self>, handlers: &Rc<Handlers>) {
        while !self.replies.borrow().is_empty() {
            handlers.caller.enter(|| _ = self.deliver_replies(handlers, u64::MAX));
        }
    }

    /// Delivers replies that come behind so many messages, up to one with a socket: in Node, that is the
    /// last of its callback. Says whether that was one.
    fn deliver_replies(self: &Rc<Self>, handlers: &Rc<Handlers>, messages: u64) -> bool {
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

    /// Does what the primary orders, but keeps its replies.
    fn receive_control(self: &Rc<Self>, handlers: &Rc<Handlers>) {
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
                    self.tell(&ToPrimary::Alive, None);
                }
                Ok(Received::Pause) => self.set_paused(true),
                Ok(Received::Resume) => self.set_paused(false),
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

    /// Begins to accept where the reply says so.
    fn adopt_socket(
        self: &Rc<Self>,
        reply: Reply,
        socket: Option<OwnedFd>,
        handlers: &Rc<Handlers>,
    ) -> ListenReply {
        let Some(kind) = reply.socket else {
            return ListenReply::new(reply, None);
        };
        let listener = reply.listener;
        // This process had no descriptor left for it.
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

    /// Somebody has ended our own socket of this listener. The primary gives us another.
    fn report_lost_socket(&self, listener: ListenerId) {
        drop(self.sockets.borrow_mut().remove(&listener));
        self.lost.borrow_mut().insert(listener);
        self.tell(&ToPrimary::Lost { listener }, None);
    }

    /// Another socket of our own has come, in place of one that is lost, though we may not know that yet.
    fn replace_socket(
        self: &Rc<Self>,
        listener: ListenerId,
        slot: Option<u8>,
        socket: Option<OwnedFd>,
        handlers: &Rc<Handlers>,
    ) {
        let had_socket = self.sockets.borrow_mut().remove(&listener).is_some();
        if !(self.lost.borrow_mut().remove(&listener) || had_socket) {
            // The server is closed meanwhile.
            return;
        }
        let ownership = Ownership::Own { slot };
        // This process had no descriptor left for it.
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
    fn leave(&self, listener: ListenerId) {
        self.tell(&ToPrimary::Close { listener }, None);
    }

    fn watch_socket(
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
        poll.wait_for(self.readiness_at(ownership));
        self.sockets.borrow_mut().insert(listener, ListeningSocket { poll, socket, ownership });
        Ok(())
    }

    /// Accepts nothing from sockets of our own, or accepts again.
    fn set_paused(&self, paused: bool) {
        self.paused.set(paused);
        self.watch_sockets();
    }

    fn watch_sockets(&self) {
        for socket in self.sockets.borrow().values() {
            socket.poll.wait_for(self.readiness_at(socket.ownership));
        }
    }

    /// What to wait for at a listening socket.
    fn readiness_at(&self, ownership: Ownership) -> Readiness {
        let is_paused = matches!(ownership, Ownership::Own { .. }) && self.paused.get();
        if is_paused || self.exhausted.get() { Readiness::NONE } else { Readiness::READ }
    }

    fn accept(&self, listener: ListenerId, handlers: &Handlers) {
        for _ in 0..TAKEN_A_TURN {
            // A handler may have closed the server, or paused the worker.
            let (ownership, accepted) = match self.sockets.borrow().get(&listener) {
                Some(&ListeningSocket { ownership, ref socket, .. })
                    if self.readiness_at(ownership).readable =>
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
                                // JavaScript's, even if the handler throws.
                                handlers.accepted(listener, connection.into_raw_fd());
                                true
                            }
                        }
                    });
                    if !is_served {
                        // Until the engine says that it is worth another try.
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
                        // The primary may have closed the socket for a worker that goes on without it.
                        Ownership::Shared => {
                            self.unwatch(listener);
                            handlers.caller.enter(|| handlers.accepted(listener, -fault.errno));
                        }
                    };
                }
            }
        }
    }

    fn unwatch(&self, listener: ListenerId) {
        if let Some(socket) = self.sockets.borrow().get(&listener) {
            socket.poll.wait_for(Readiness::NONE);
        }
    }

    fn accept_from(
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

    /// Whether JavaScript takes the connection. Otherwise the engine gets it.
    fn deliver(&self, handlers: &Handlers, listener: ListenerId, connection: OwnedFd) -> bool {
        let Handlers { caller, on_connection, .. } = handlers;
        let args = (listener, connection.as_raw_fd()).into();
        match caller.call(on_connection, args) {
            Called::Returned(false) => {
                self.tell(&ToPrimary::Return { listener }, Some(connection));
                self.counters.add_closed();
                false
            }
            Called::Returned(true) => {
                let _ = connection.into_raw_fd();
                true
            }
            // A getter of the user's server threw; the connection is closed here.
            Called::Failed => {
                self.counters.add_closed();
                true
            }
        }
    }

    fn connections_ready(self: &Rc<Self>, _: Readiness, handlers: &Rc<Handlers>) {
        let caller = &handlers.caller;
        for _ in 0..TAKEN_A_TURN {
            if self.exhausted.get() {
                return;
            }
            match self.connections.take() {
                Ok(Taken::Connection(listener, connection)) => {
                    self.counters.add_taken();
                    // The primary says first that we serve a listener, but on the other lane.
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
            // It saves a look in vain for most connections.
            if !self.counters.has_more() {
                return;
            }
        }
    }
}

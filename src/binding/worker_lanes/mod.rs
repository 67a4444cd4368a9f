mod accept;
mod control;
mod drain;
mod handlers;
mod inner;
mod listening_socket;
mod query;

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
};

use napi::{Env, JsValue, bindgen_prelude::This};
use napi_derive::napi;
use serde_json::Value;

use self::{
    handlers::{Handlers, WorkerHandlers},
    inner::{Inner, Started},
    listening_socket::Ownership,
    query::ListenQuery,
};
use super::{
    callback::{Caller, reason},
    ipc_channel::IpcChannel,
};
use crate::{
    ipc::Channel,
    protocol::control::{ToPrimary, check_data},
    sys::{
        duplicate, errno, inherit,
        lane::Kind,
        listen,
        node::{EventLoop, Poll, Readiness, StackProbe, Timer, Turns, define_states},
        ring::{self, SharedCounters},
    },
    worker::{Connections, Control, Watchdog},
};

/// The lanes of this worker. A process has one set of them.
#[napi]
pub struct WorkerLanes {
    inner: Rc<Inner>,
}

#[napi]
impl WorkerLanes {
    /// Takes ownership of the descriptors that the primary left to this process.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        message: i32,
        control: i32,
        connection: i32,
        memory: i32,
        watchdog: Option<i32>,
    ) -> napi::Result<Self> {
        let message = inherit(message, Kind::Stream).map_err(reason)?;
        let ring = ring::inherit(memory).map_err(reason)?;
        let counters = ring.counters.clone();
        let control = Control::new(inherit(control, Kind::Packets).map_err(reason)?);
        let connections = inherit(connection, Kind::Packets).map_err(reason)?;
        let counts_turns = watchdog.is_some();
        let watchdog = match watchdog {
            Some(watchdog) => serve_watchdog_lane(env, watchdog)?,
            None => Watchdog::start(connections.try_clone().map_err(reason)?).map_err(reason)?,
        };
        let connections = Connections::new(connections);
        let inner = Rc::new(Inner {
            messages: IpcChannel::new(Channel::new(message, ring)),
            control: RefCell::new(control),
            connections,
            counters,
            sockets: RefCell::default(),
            without_socket: RefCell::default(),
            lost: RefCell::default(),
            paused: Cell::new(false),
            drains: Cell::new(false),
            exhausted: Cell::new(false),
            watchdog,
            counts_turns,
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
    pub fn ipc_channel(&self) -> IpcChannel {
        self.inner.messages.clone()
    }

    /// Starts to read, without keeping the event loop alive.
    ///
    /// Defines `connectionStates`, a `Uint8Array` that the engine reads: by the number of its descriptor, 1
    /// for a connection whose client expects nothing, 2 for one that would be cut if this process ended now,
    /// and 0 otherwise. The caller keeps it up to date.
    #[napi]
    pub fn start(
        &self,
        env: Env,
        this: This<'_>,
        handlers: WorkerHandlers<'_>,
    ) -> napi::Result<()> {
        let inner = &self.inner;
        if inner.started.borrow().is_some() {
            return Ok(());
        }
        let event_loop = Caller::event_loop(&env)?;
        let counters = inner.counters.clone();
        define_states(env.raw().cast(), this.raw().cast(), c"connectionStates", counters)
            .map_err(reason)?;
        let caller = Caller::new(env, "rs-cluster.WorkerLanes")?;
        let handlers = Rc::new(Handlers::new(event_loop, caller, &handlers)?);
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
            // The lanes close now, and the process may take long to end.
            inner.watchdog.disarm();
            drop(inner.started.take());
            drop(inner.sockets.take());
        })?;
        let turns = inner.counts_turns.then(|| count_turns(event_loop, &inner.counters));
        let _turns = turns.transpose().map_err(reason)?;
        inner.started.replace(Some(Started { handlers, control, connections, retry, _turns }));
        // For what was sent before.
        inner.wait();
        Ok(())
    }

    /// Asks to serve an address. Returns the `seq` of the reply.
    #[napi]
    pub fn listen(&self, mut query: ListenQuery) -> napi::Result<u32> {
        let data = query.data.take().map(|json| serde_json::from_str::<Value>(&json));
        let data = data.transpose().map_err(reason)?;
        check_data(data.as_ref()).map_err(reason)?;
        let seq = self.inner.seq.get().wrapping_add(1);
        self.inner.seq.set(seq);
        let is_http = query.is_http;
        let request = ToPrimary::Listen { seq, query: query.into(), data, is_http };
        self.inner.send(&request, None)?;
        self.inner.unanswered.set(self.inner.unanswered.get() + 1);
        Ok(seq)
    }

    /// Listens on a duplicate of `fd`, a shared socket, and accepts from it until the listener is
    /// closed. Returns 0 or a negated errno.
    #[napi]
    pub fn accept(&self, listener: u32, fd: i32, backlog: i32) -> i32 {
        let Some(handlers) = self.inner.handlers() else { return -libc::EBADF };
        let watched = duplicate(fd).and_then(|socket| {
            listen::start_with(&socket, backlog)?;
            self.inner.watch_socket(listener, Ownership::Shared, socket, &handlers)
        });
        watched.map_or_else(|error| errno(&error), |()| 0)
    }

    /// Reports that the server on this listener is closed, with its shared socket if it had one.
    /// Returns whether `onClosed` will be called; it will not if the primary is gone.
    #[napi]
    pub fn close_listener(&self, listener: u32) -> napi::Result<bool> {
        let inner = &self.inner;
        drop(inner.sockets.borrow_mut().remove(&listener));
        inner.lost.borrow_mut().remove(&listener);
        inner.without_socket.borrow_mut().remove(&listener);
        inner.send(&ToPrimary::Close { listener }, None)?;
        let is_open = inner.open.get();
        if is_open {
            inner.closing.borrow_mut().insert(listener);
        }
        Ok(is_open)
    }

    /// Counts a connection that `onConnection` took as closed.
    #[napi]
    pub fn connection_closed(&self) {
        self.inner.counters.add_closed();
    }

    /// Counts an HTTP request, for a primary that replaces workers after a number of them.
    #[napi]
    pub fn add_request(&self) {
        self.inner.counters.add_request();
    }

    /// Sends a duplicate of `fd`, an idle connection of the listener, to the engine, where it waits for at
    /// most `left` milliseconds, or without end. Returns false if that is not possible now; the connection
    /// is then this worker's as before. After true, the caller closes its own descriptor.
    #[napi]
    pub fn park(&self, listener: u32, fd: i32, left: Option<f64>) -> napi::Result<bool> {
        let Ok(connection) = duplicate(fd) else { return Ok(false) };
        // Whole milliseconds; a number that is too large becomes the largest.
        let left = left.map(|left| left as u32);
        let request = ToPrimary::Park { listener, left };
        let sent = self.inner.control.borrow_mut().try_send(&request, &connection);
        self.inner.wait();
        sent.map_err(reason)
    }

    /// Asks for the keys of TLS session tickets, which `onTicketKeys` gets.
    #[napi]
    pub fn ask_for_ticket_keys(&self) -> napi::Result<()> {
        self.inner.send(&ToPrimary::TicketKeys, None)
    }

    /// Reports that the program is ready to serve.
    #[napi]
    pub fn ready(&self) -> napi::Result<()> {
        self.inner.send(&ToPrimary::Ready, None)
    }

    /// Reports that this worker drains, and has no connection open any more.
    #[napi]
    pub fn drained(&self) -> napi::Result<()> {
        self.inner.send(&ToPrimary::Drained, None)
    }

    /// Reports that this worker has disconnected, but does not exit.
    #[napi]
    pub fn stays(&self) -> napi::Result<()> {
        self.inner.send(&ToPrimary::Staying, None)
    }

    /// Stops the watchdog: from now on only JavaScript decides when to exit, even if the primary is
    /// gone.
    #[napi]
    pub fn disarm_watchdog(&self) {
        self.inner.watchdog.disarm();
    }
}

/// Shows the engine, in shared memory, that the event loop turns.
fn count_turns(event_loop: EventLoop, counters: &SharedCounters) -> io::Result<Turns> {
    let (before, after) = (counters.clone(), counters.clone());
    Turns::new(event_loop, move || before.begin_poll(), move || after.end_poll())
}

/// Answers the engine from a thread of its own, while JavaScript is stuck too.
fn serve_watchdog_lane(env: Env, lane: i32) -> napi::Result<Watchdog> {
    let lane = inherit(lane, Kind::Packets).map_err(reason)?;
    let probe = StackProbe::new(env.raw().cast());
    if let Some(probe) = &probe {
        env.add_env_cleanup_hook(probe.clone(), |probe| probe.close())?;
    }
    Watchdog::serve(lane, move |within| probe.as_ref()?.stack(within)).map_err(reason)
}

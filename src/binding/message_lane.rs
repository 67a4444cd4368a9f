use std::{
    cell::{Cell, RefCell},
    os::fd::OwnedFd,
    rc::Rc,
};

use napi::{
    CleanupEnvHook, Env,
    bindgen_prelude::{FnArgs, Function, FunctionRef},
};
use napi_derive::napi;

use super::callback::Caller;
use crate::{
    channel::{Channel, Incoming, Reading},
    error::Error,
    protocol::frame::Kind,
    sys::{
        errno,
        node::{Poll, Readiness},
    },
};

/// One end of the message lane between a primary and a worker.
#[napi]
pub struct MessageLane {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// `None` once closed.
    channel: RefCell<Option<Channel>>,
    started: RefCell<Option<Started>>,
    /// Whether the peer may still send.
    reading: Cell<bool>,
}

struct Started {
    handlers: Rc<Handlers>,
    poll: Poll,
    hook: CleanupEnvHook<Rc<Inner>>,
    env: Env,
}

/// The functions of JavaScript to call.
struct Handlers {
    caller: Caller,
    on_message: FunctionRef<FnArgs<(bool, String)>, ()>,
    on_flushed: FunctionRef<FnArgs<(u32,)>, ()>,
    on_end: FunctionRef<FnArgs<(Option<String>,)>, ()>,
}

impl MessageLane {
    pub(super) fn new(socket: OwnedFd) -> Self {
        let channel = RefCell::new(Some(Channel::new(socket)));
        Self { inner: Rc::new(Inner { channel, ..Inner::default() }) }
    }
}

#[napi]
impl MessageLane {
    /// Starts to read. The lane holds the event loop open from now on.
    ///
    /// `onMessage(isNotice, json)` gets each message; `onFlushed(count)` hears how many of those
    /// that `send` had to queue are gone; `onEnd(reason)` is called once, last: with null when the
    /// peer has closed or died, with a text when it sent garbage.
    #[napi]
    pub fn start(
        &self,
        env: Env,
        on_message: Function<FnArgs<(bool, String)>, ()>,
        on_flushed: Function<FnArgs<(u32,)>, ()>,
        on_end: Function<FnArgs<(Option<String>,)>, ()>,
    ) -> napi::Result<()> {
        let inner = &self.inner;
        let Some(fd) = inner.channel.borrow().as_ref().map(Channel::fd) else {
            return Ok(());
        };
        if inner.started.borrow().is_some() {
            return Ok(());
        }
        let handlers = Rc::new(Handlers {
            caller: Caller::new(env, "rs-cluster.MessageLane")?,
            on_message: on_message.create_ref()?,
            on_flushed: on_flushed.create_ref()?,
            on_end: on_end.create_ref()?,
        });
        let (lane, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_ready = move |ready| {
            if let Some(lane) = lane.upgrade() {
                lane.ready(ready, &called);
            }
        };
        let poll = Poll::new(Caller::event_loop(&env)?, fd, on_ready);
        let poll = poll.map_err(super::callback::reason)?;
        let hook = env.add_env_cleanup_hook(Rc::clone(inner), |inner| inner.close(false))?;
        inner.reading.set(true);
        inner.started.replace(Some(Started { handlers, poll, hook, env }));
        inner.wait();
        Ok(())
    }

    /// Sends a message, or queues it. Returns how many bytes are queued then, or a negated errno.
    #[napi]
    pub fn send(&self, is_notice: bool, json: String) -> i64 {
        let kind = if is_notice { Kind::Notice } else { Kind::Message };
        let result = match self.inner.channel.borrow_mut().as_mut() {
            Some(channel) => channel.send(kind, json).map(|()| channel.queued()),
            None => return i64::from(-libc::EPIPE),
        };
        match result {
            Ok(0) => 0,
            Ok(queued) => {
                self.inner.wait();
                i64::try_from(queued).unwrap_or(i64::MAX)
            }
            Err(Error::System { source, .. }) => i64::from(errno(&source)),
            Err(_) => i64::from(-libc::EMSGSIZE),
        }
    }

    /// Reads to the end what a peer that has died left behind, and calls the handlers at once.
    #[napi]
    pub fn finish(&self) {
        let handlers = self.inner.started.borrow().as_ref().map(|it| Rc::clone(&it.handlers));
        if let Some(handlers) = handlers {
            while self.inner.reading.get() && self.inner.read(&handlers) > 0 {}
            self.inner.wait();
        }
    }

    /// Holds the event loop open from now on.
    #[napi(js_name = "ref")]
    pub fn reference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.reference();
        }
    }

    /// No longer holds the event loop open.
    #[napi(js_name = "unref")]
    pub fn unreference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.unreference();
        }
    }

    /// The descriptor's number, or -1 once closed.
    #[napi(getter)]
    pub fn fd(&self) -> i32 {
        self.inner.channel.borrow().as_ref().map_or(-1, Channel::fd)
    }

    /// Closes the lane for good. The peer still receives what was written.
    #[napi]
    pub fn close(&self) {
        self.inner.close(true);
    }
}

impl Inner {
    /// Waits for what is of interest now.
    fn wait(&self) {
        let writable = self.channel.borrow().as_ref().is_some_and(|channel| !channel.is_idle());
        if let Some(started) = self.started.borrow().as_ref() {
            started.poll.wait_for(Readiness { readable: self.reading.get(), writable });
        }
    }

    fn ready(&self, ready: Readiness, handlers: &Handlers) {
        if ready.writable {
            self.flush(handlers);
        }
        if ready.readable && self.reading.get() {
            self.read(handlers);
        }
        self.wait();
    }

    fn flush(&self, handlers: &Handlers) {
        let flushed = self.channel.borrow_mut().as_mut().map(Channel::flush);
        // Without a peer there is nothing to wait for: the end is about to be read.
        let Some(Ok(count)) = flushed else { return };
        if count > 0 {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let Handlers { caller, on_flushed, .. } = handlers;
            caller.enter(|| _ = caller.call(on_flushed, (count,).into()));
        }
    }

    /// Reads for one turn, and says how many bytes came.
    fn read(&self, handlers: &Handlers) -> usize {
        let mut messages = Vec::new();
        let (received, bytes) = match self.channel.borrow_mut().as_mut() {
            Some(channel) => {
                let before = channel.received();
                (channel.receive(&mut messages), channel.received() - before)
            }
            None => return 0,
        };
        let end = match received {
            Ok(Reading::Open) => None,
            Ok(Reading::Ended) => Some(None),
            Err(error) => Some(Some(error.to_string())),
        };
        self.reading.set(end.is_none());
        let Handlers { caller, on_message, on_end, .. } = handlers;
        caller.enter(|| {
            for Incoming { kind, text } in messages {
                caller.call(on_message, (kind == Kind::Notice, text).into());
            }
            if let Some(reason) = end {
                caller.call(on_end, (reason,).into());
            }
        });
        bytes
    }

    /// `unhook` unless this is the hook.
    fn close(&self, unhook: bool) {
        if let Some(Started { poll, hook, env, .. }) = self.started.take() {
            drop(poll);
            if unhook {
                // It fails only for a hook that is not there.
                let _ = env.remove_env_cleanup_hook(hook);
            }
        }
        if let Some(channel) = self.channel.take() {
            channel.shutdown();
        }
    }
}

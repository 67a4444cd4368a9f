use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{IntoRawFd, OwnedFd, RawFd},
    rc::Rc,
};

use napi::{
    CleanupEnvHook, Env,
    bindgen_prelude::{Buffer, Either, FnArgs, Function, FunctionRef, Uint8Array},
};
use napi_derive::napi;

use super::callback::Caller;
use crate::{
    channel::{Channel, Flushed, Incoming, Reading},
    error::{Error, Result},
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        duplicate, errno,
        node::{Poll, Readiness},
    },
};

/// Stands for a descriptor that is not there.
const NONE: RawFd = -1;

/// A message: text, or bytes where the two ends have agreed on them.
type Payload = Either<String, Buffer>;

/// `isNotice`, the message, the type of its handle or 0, the handle's descriptor or -1.
type OnMessage = FnArgs<(bool, Payload, u8, RawFd)>;
/// How many queued messages are gone, why the next could not be sent (a negated errno) or 0.
type OnFlushed = FnArgs<(u32, i32)>;
/// What was wrong with what the peer sent, if so.
type OnEnd = FnArgs<(Option<String>,)>;

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
    /// Whether messages of users are bytes.
    binary: bool,
    on_message: FunctionRef<OnMessage, ()>,
    on_flushed: FunctionRef<OnFlushed, ()>,
    on_end: FunctionRef<OnEnd, ()>,
}

impl Handlers {
    fn payload(&self, kind: Kind, bytes: Vec<u8>) -> Result<Payload> {
        if self.binary && kind == Kind::Message {
            return Ok(Either::B(bytes.into()));
        }
        String::from_utf8(bytes).map(Either::A).map_err(|_| Error::NotText)
    }

    /// Gives one message to JavaScript, and its descriptor too.
    fn deliver(&self, Incoming { kind, payload, handle }: Incoming) -> Result<()> {
        let payload = self.payload(kind, payload)?;
        let (number, fd) = match handle {
            None => (0, NONE),
            Some((handle, descriptor)) => {
                (handle.number(), descriptor.map_or(NONE, IntoRawFd::into_raw_fd))
            }
        };
        let arguments = (kind == Kind::Notice, payload, number, fd).into();
        self.caller.call(&self.on_message, arguments);
        Ok(())
    }
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
    /// `onMessage(isNotice, message, handleType, fd)` gets each message: a text, or with `binary` a
    /// Buffer where it is no notice. The descriptor is its own from then on; it is -1 where there
    /// is none, or this process had no room for it.
    ///
    /// `onFlushed(count, errno)` hears how many of the messages that `send` had to queue are gone,
    /// and, unless `errno` is 0, why one more could not be sent. `onEnd(reason)` is called once,
    /// last: with null when the peer has closed or died, with a text when it sent garbage.
    #[napi]
    pub fn start(
        &self,
        env: Env,
        binary: bool,
        on_message: Function<OnMessage, ()>,
        on_flushed: Function<OnFlushed, ()>,
        on_end: Function<OnEnd, ()>,
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
            binary,
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
    ///
    /// Unless `handleType` is 0, a duplicate of the descriptor `fd` goes with it.
    #[napi]
    pub fn send(
        &self,
        is_notice: bool,
        payload: Either<String, Uint8Array>,
        handle_type: u8,
        fd: RawFd,
    ) -> i64 {
        let kind = if is_notice { Kind::Notice } else { Kind::Message };
        let payload = match payload {
            Either::A(text) => text.into_bytes(),
            Either::B(bytes) => bytes.to_vec(),
        };
        match self.inner.send(kind, payload, HandleType::from_number(handle_type), fd) {
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
    /// Says how many bytes are queued then.
    fn send(
        &self,
        kind: Kind,
        payload: Vec<u8>,
        handle: Option<HandleType>,
        fd: RawFd,
    ) -> Result<usize> {
        let mut channel = self.channel.borrow_mut();
        let closed = || Error::system("sendmsg")(io::Error::from_raw_os_error(libc::EPIPE));
        let channel = channel.as_mut().ok_or_else(closed)?;
        let handle = match handle {
            None => None,
            Some(handle) => Some((handle, duplicate(fd).map_err(Error::system("fcntl"))?)),
        };
        channel.send(kind, payload, handle)?;
        Ok(channel.queued())
    }

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
        let Some(Ok(Flushed { messages, refused })) = flushed else { return };
        if messages > 0 || refused.is_some() {
            let count = u32::try_from(messages).unwrap_or(u32::MAX);
            let errno = refused.as_ref().map_or(0, errno);
            let Handlers { caller, on_flushed, .. } = handlers;
            caller.enter(|| _ = caller.call(on_flushed, (count, errno).into()));
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
        self.reading.set(matches!(received, Ok(Reading::Open)));
        let Handlers { caller, on_end, .. } = handlers;
        caller.enter(|| {
            let delivered = messages.into_iter().try_for_each(|it| handlers.deliver(it));
            let end = match delivered.and(received) {
                Ok(Reading::Open) => return,
                Ok(Reading::Ended) => None,
                Err(error) => Some(error.to_string()),
            };
            self.reading.set(false);
            caller.call(on_end, (end,).into());
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

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, RefCell},
    iter::Peekable,
    os::fd::{IntoRawFd, RawFd},
    rc::Rc,
    time::{Duration, Instant},
    vec,
};

use napi::{
    Env, JsValue,
    bindgen_prelude::{Buffer, Either, FnArgs, Function, FunctionRef, This, Uint8Array},
};
use napi_derive::napi;

use super::{
    callback::Caller,
    inbox::{Delivery, Entry, Inbox, Payload, Text},
};
use crate::{
    error::{Error, Result},
    ipc::{Channel, Flushed, Incoming, Reading, Rest},
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        duplicate, errno,
        failure::{Fault, SHORTAGE_PAUSE},
        node::{
            CleanupHook, Poll, Readiness, Timer,
            function::{self, Argument, Value},
        },
    },
};

/// Reads of one turn, at most: other events of the loop want theirs.
const READS_A_TURN: usize = 16;

/// How long a turn may have taken when it reads again, JavaScript that handles what came included.
const LONGEST_TURN: Duration = Duration::from_millis(5);

/// Stands for a descriptor that is not there.
const NONE: RawFd = -1;

/// Several messages, and how many.
type OnTexts = FnArgs<(Text, u32)>;
/// Several messages.
type OnBytes = FnArgs<(Buffer,)>;
/// The message.
type OnString = FnArgs<(Text,)>;
/// `isNotice`, the message, the type of its handle or 0, the handle's descriptor or -1.
type OnMessage = FnArgs<(bool, Payload, u8, RawFd)>;
/// How many queued messages are gone, why the next could not be sent (a negated errno) or 0.
type OnFlushed = FnArgs<(u32, i32)>;
/// What was wrong with what the peer sent, if so.
type OnEnd = FnArgs<(Option<String>,)>;

/// What a lane calls.
#[napi(object, object_to_js = false)]
pub struct LaneHandlers<'a> {
    /// Gets several messages at once, and their count: an array of JSON, or the one value itself.
    pub on_texts: Function<'a, OnTexts, ()>,
    /// Gets several messages at once, as V8 serializes them, each after its length in four bytes,
    /// little-endian.
    pub on_bytes: Function<'a, OnBytes, ()>,
    /// Gets a message that is a string.
    pub on_string: Function<'a, OnString, ()>,
    /// Gets a notice, a long message, or one with a handle. The descriptor is its own from then on;
    /// it is -1 where there is none, or this process had no room for it.
    pub on_message: Function<'a, OnMessage, ()>,
    /// Hears how many of the messages that `send` had to queue are gone, and, as a negated errno
    /// unless it is 0, why one more could not be sent.
    pub on_flushed: Function<'a, OnFlushed, ()>,
    /// Is called once, last: with null when the peer has closed or died, with a text when it sent
    /// garbage.
    pub on_end: Function<'a, OnEnd, ()>,
}

/// One end of the IPC channel between a primary and a worker.
#[derive(Clone)]
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
    /// Whether the last turn has left something to read, which the poll may not tell.
    has_more: Cell<bool>,
    /// How many messages have come.
    messages: Cell<u64>,
    alongside: OnceCell<Box<dyn Alongside>>,
}

/// What another lane brings that is to be delivered in order with the messages.
pub(super) trait Alongside {
    /// Takes what is there. For each of it, in order, behind how many messages it comes.
    fn receive(&self) -> Vec<u64>;

    /// Delivers what comes behind so many messages, or fewer, from within a callback. Says whether that
    /// callback is to end now, whatever else there is.
    fn deliver(&self, messages: u64) -> bool;
}

struct Started {
    handlers: Rc<Handlers>,
    poll: Poll,
    /// For what the poll does not tell. Holds the event loop open as the poll does.
    retry: Timer,
    _hook: CleanupHook,
}

/// The functions of JavaScript to call.
struct Handlers {
    caller: Caller,
    on_texts: FunctionRef<OnTexts, ()>,
    on_bytes: FunctionRef<OnBytes, ()>,
    on_string: FunctionRef<OnString, ()>,
    on_message: FunctionRef<OnMessage, ()>,
    on_flushed: FunctionRef<OnFlushed, ()>,
    on_end: FunctionRef<OnEnd, ()>,
}

impl Handlers {
    /// Gives messages to JavaScript, and their descriptors too.
    fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::Texts { text, count } => {
                self.caller.call(&self.on_texts, (text, count).into());
            }
            Delivery::Bytes(bytes) => {
                self.caller.call(&self.on_bytes, (bytes.into(),).into());
            }
            Delivery::String(text) => {
                self.caller.call(&self.on_string, (text,).into());
            }
            Delivery::Single { is_internal, payload, handle } => {
                let (number, fd) = match handle {
                    None => (0, NONE),
                    Some((handle, descriptor)) => {
                        (handle.number(), descriptor.map_or(NONE, IntoRawFd::into_raw_fd))
                    }
                };
                let arguments = (is_internal, payload, number, fd).into();
                self.caller.call(&self.on_message, arguments);
            }
        }
    }
}

impl MessageLane {
    pub(super) fn new(channel: Channel) -> Self {
        let channel = RefCell::new(Some(channel));
        Self { inner: Rc::new(Inner { channel, ..Inner::default() }) }
    }

    /// Has messages delivered in order with what another lane brings. There can be one such lane.
    pub(super) fn merge(&self, alongside: impl Alongside + 'static) {
        let _ = self.inner.alongside.set(Box::new(alongside));
    }

    /// Whether messages still come.
    pub(super) fn is_reading(&self) -> bool {
        self.inner.reading.get()
    }

    /// Delivers what is there.
    pub(super) fn read_all(&self) {
        if let Some(handlers) = self.inner.handlers() {
            self.inner.ready(Readiness::READ, &handlers);
        }
    }
}

#[napi]
impl MessageLane {
    /// Starts to read. The lane holds the event loop open from now on.
    ///
    /// Puts methods on this object which send a message as `send` does, without a handle, and return
    /// what it returns: `sendText(json)`, `sendBytes(buffer)`, and `sendString(message)` for a message
    /// that is a string.
    ///
    /// Returns 0, or a negated errno where the system refuses to watch the lane.
    #[napi]
    pub fn start(&self, env: Env, this: This<'_>, handlers: LaneHandlers<'_>) -> napi::Result<i32> {
        let inner = &self.inner;
        let Some(fd) = inner.channel.borrow().as_ref().map(Channel::fd) else {
            return Ok(0);
        };
        if inner.started.borrow().is_some() {
            return Ok(0);
        }
        let handlers = Rc::new(Handlers {
            caller: Caller::new(env, "rs-cluster.MessageLane")?,
            on_texts: handlers.on_texts.create_ref()?,
            on_bytes: handlers.on_bytes.create_ref()?,
            on_string: handlers.on_string.create_ref()?,
            on_message: handlers.on_message.create_ref()?,
            on_flushed: handlers.on_flushed.create_ref()?,
            on_end: handlers.on_end.create_ref()?,
        });
        let (lane, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_ready = move |ready| {
            if let Some(lane) = lane.upgrade() {
                lane.ready(ready, &called);
            }
        };
        let event_loop = Caller::event_loop(&env)?;
        let poll = match Poll::new(event_loop, fd, on_ready) {
            Ok(poll) => poll,
            Err(error) if error.raw_os_error().is_some() => return Ok(errno(&error)),
            Err(error) => return Err(super::callback::reason(error)),
        };
        let (lane, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_time = move || {
            if let Some(lane) = lane.upgrade() {
                lane.try_again(&called);
            }
        };
        let retry = Timer::new(event_loop, on_time).map_err(super::callback::reason)?;
        for (name, argument, kind, wide) in [
            (c"sendText", Argument::Text, Kind::Text, Kind::WideText),
            (c"sendString", Argument::AnyText, Kind::String, Kind::WideString),
            (c"sendBytes", Argument::Bytes, Kind::Bytes, Kind::Bytes),
        ] {
            let lane = Rc::downgrade(inner);
            let send = move |value: Value<'_>| {
                let Some(lane) = lane.upgrade() else { return f64::from(-libc::EPIPE) };
                let (kind, payload) = match value {
                    Value::Utf8(text) => (kind, text),
                    Value::Utf16(text) => (wide, Cow::Borrowed(text)),
                    Value::Bytes(bytes) => (kind, Cow::Borrowed(bytes)),
                };
                lane.answer(kind, payload, None, NONE)
            };
            let defined =
                function::define(env.raw().cast(), this.raw().cast(), name, argument, send);
            defined.map_err(super::callback::reason)?;
        }
        let lane = Rc::downgrade(inner);
        let close = move || {
            // The environment ends, and with it the lane.
            let _ = lane.upgrade().map(|lane| lane.close());
        };
        let hook = CleanupHook::new(env.raw().cast(), close).map_err(super::callback::reason)?;
        inner.reading.set(true);
        inner.started.replace(Some(Started { handlers, poll, retry, _hook: hook }));
        inner.wait();
        Ok(0)
    }

    /// Sends a message, or queues it. Returns how many bytes are queued then, or a negated errno.
    ///
    /// Unless `handleType` is 0, a duplicate of the descriptor `fd` goes with it.
    #[napi]
    pub fn send(
        &self,
        is_internal: bool,
        payload: Either<String, Uint8Array>,
        handle_type: u8,
        fd: RawFd,
    ) -> f64 {
        let (kind, payload) = match &payload {
            Either::A(text) if is_internal => (Kind::Internal, text.as_bytes()),
            Either::A(text) => (Kind::Text, text.as_bytes()),
            Either::B(bytes) => (Kind::Bytes, bytes.as_ref()),
        };
        self.inner.answer(kind, Cow::Borrowed(payload), HandleType::from_number(handle_type), fd)
    }

    /// Reads to the end what a peer that has died left behind, and calls the handlers at once. Says
    /// whether that was all: if not, the kernel is short of something, and the rest is to be read later.
    #[napi]
    pub fn finish(&self) -> bool {
        let Some(handlers) = self.inner.handlers() else { return true };
        // Another process that has the peer's end as well can't keep us here by sending more.
        let mut left = self.inner.channel.borrow().as_ref().map_or(0, Channel::unread);
        while self.inner.reading.get() {
            let read = self.inner.read(&handlers, From::Both);
            if read == 0 || left == 0 {
                break;
            }
            left = left.saturating_sub(read);
        }
        self.inner.wait();
        !(self.inner.reading.get() && self.inner.receives_later())
    }

    /// Sends what is queued, because this process is about to end. Waits for the peer to make room,
    /// for so many milliseconds each time. Says whether all is sent, or nobody left to read it.
    #[napi]
    pub fn flush_on_exit(&self, patience: u32) -> bool {
        let patience = Duration::from_millis(patience.into());
        let mut channel = self.inner.channel.borrow_mut();
        channel.as_mut().is_none_or(|channel| channel.flush_on_exit(patience))
    }

    /// Holds the event loop open from now on.
    #[napi(js_name = "ref")]
    pub fn reference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.reference();
            started.retry.reference();
        }
    }

    /// No longer holds the event loop open.
    #[napi(js_name = "unref")]
    pub fn unreference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.unreference();
            started.retry.unreference();
        }
    }

    /// The descriptor's number, or -1 once closed.
    #[napi(getter)]
    pub fn fd(&self) -> i32 {
        self.inner.channel.borrow().as_ref().map_or(-1, Channel::fd)
    }

    /// Closes the lane for good. The peer still receives what was written. Says what went wrong with
    /// that, if so.
    #[napi]
    pub fn close(&self) -> Option<String> {
        self.inner.close().err().map(|error| error.to_string())
    }
}

/// Delivers what is to come in one callback.
fn deliver(
    entries: &mut Peekable<vec::IntoIter<Entry>>,
    handlers: &Handlers,
    alongside: Option<&dyn Alongside>,
) {
    while let Some(entry) = entries.peek() {
        match (entry, alongside) {
            (&Entry::Alongside(messages), Some(alongside)) => {
                if alongside.deliver(messages) {
                    return;
                }
                entries.next();
            }
            _ => {
                if let Some(Entry::Deliver(delivery)) = entries.next() {
                    handlers.deliver(delivery);
                }
            }
        }
    }
}

/// Where to look for messages.
#[derive(Clone, Copy)]
enum From {
    Both,
    Memory,
}

impl Inner {
    fn handlers(&self) -> Option<Rc<Handlers>> {
        self.started.borrow().as_ref().map(|it| Rc::clone(&it.handlers))
    }

    /// Sends, and says how many bytes are queued then, or what went wrong as a negated errno.
    fn answer(
        &self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<HandleType>,
        fd: RawFd,
    ) -> f64 {
        match self.send(kind, payload, handle, fd) {
            // Exact up to 2^53.
            Ok(queued) => queued as f64,
            Err(Error::System { source, .. }) => f64::from(errno(&source)),
            Err(Error::Fault(fault)) => f64::from(-fault.errno),
            Err(Error::Gone) => f64::from(-libc::EPIPE),
            Err(Error::Memory) => f64::from(-libc::EPROTO),
            Err(_) => f64::from(-libc::EMSGSIZE),
        }
    }

    /// Says how many bytes are queued then.
    fn send(
        &self,
        kind: Kind,
        payload: Cow<'_, [u8]>,
        handle: Option<HandleType>,
        fd: RawFd,
    ) -> Result<usize> {
        let mut borrowed = self.channel.borrow_mut();
        let channel = borrowed.as_mut().ok_or(Error::Gone)?;
        let handle = match handle {
            None => None,
            Some(handle) => Some((handle, duplicate(fd).map_err(Error::system("fcntl"))?)),
        };
        let queued = channel.send(kind, payload, handle)?;
        if !channel.is_idle() || channel.fault().is_some() {
            drop(borrowed);
            self.wait();
        }
        Ok(queued)
    }

    /// Whether the poll does not tell when there is more to read.
    fn receives_later(&self) -> bool {
        self.channel.borrow().as_ref().is_some_and(Channel::receives_later)
    }

    fn fault(&self) -> Option<Fault> {
        self.channel.borrow().as_ref().and_then(Channel::fault)
    }

    /// Waits for what is of interest now.
    fn wait(&self) {
        let (writes, sends_later, receives_later, is_broken) = match self.channel.borrow().as_ref()
        {
            Some(channel) => (
                !channel.is_idle(),
                channel.sends_later(),
                channel.receives_later(),
                channel.fault().is_some() || channel.has_no_reader(),
            ),
            None => (false, false, false, false),
        };
        let reads = self.reading.get();
        if let Some(started) = self.started.borrow().as_ref() {
            started.poll.wait_for(Readiness {
                readable: reads && !receives_later,
                writable: writes && !sends_later && !is_broken,
            });
            if reads && self.has_more.get() {
                // In the next turn of the event loop.
                started.retry.start(Duration::ZERO);
            } else if sends_later || (reads && (receives_later || is_broken)) {
                started.retry.start(SHORTAGE_PAUSE);
            }
        }
    }

    /// A shortage may be over, or there is something to tell of a call that must not call back.
    fn try_again(&self, handlers: &Handlers) {
        if self.reading.get() && self.has_more.get() {
            self.turn(handlers, From::Memory);
            return self.wait();
        }
        if let Some(fault) = self.fault().filter(|_| self.reading.get()) {
            return self.end(handlers, Some(fault.into()));
        }
        let received = self.received();
        self.ready(Readiness { readable: true, writable: true }, handlers);
        let channel = self.channel.borrow();
        let has_no_reader = channel.as_ref().is_some_and(Channel::has_no_reader);
        drop(channel);
        // All that it sent before its end has been read by now, if that was the reason.
        if has_no_reader && self.reading.get() && received == self.received() {
            self.end(handlers, Some(Error::NotRead));
        }
    }

    /// Bytes that have come in, altogether.
    fn received(&self) -> usize {
        self.channel.borrow().as_ref().map_or(0, Channel::received)
    }

    fn ready(&self, ready: Readiness, handlers: &Handlers) {
        if ready.writable {
            self.flush(handlers);
        }
        if ready.readable && self.reading.get() {
            self.turn(handlers, From::Both);
        }
        self.wait();
    }

    fn flush(&self, handlers: &Handlers) {
        let flushed = self.channel.borrow_mut().as_mut().map(Channel::flush);
        let Flushed { messages, refused } = match flushed {
            Some(Ok(flushed)) => flushed,
            // Without a peer there is nothing to wait for but the end of what it has sent.
            None | Some(Err(Error::Gone)) => return,
            Some(Err(error)) if self.reading.get() => return self.end(handlers, Some(error)),
            // It has been told of a fault already.
            Some(Err(_)) => return,
        };
        if messages > 0 || refused.is_some() {
            let count = u32::try_from(messages).unwrap_or(u32::MAX);
            let errno = refused.map_or(0, |fault| -fault.errno);
            let Handlers { caller, on_flushed, .. } = handlers;
            caller.enter(|| _ = caller.call(on_flushed, (count, errno).into()));
        }
    }

    /// Reads for one turn of the event loop: while JavaScript handles what came, and right after,
    /// more may come, which then needs no wake.
    fn turn(&self, handlers: &Handlers, from: From) {
        let mut from = from;
        self.has_more.set(false);
        let start = Instant::now();
        for _ in 0..READS_A_TURN {
            self.read(handlers, from);
            if !self.reading.get() || self.rest(handlers) == Rest::Asleep {
                return;
            }
            if start.elapsed() > LONGEST_TURN {
                break;
            }
            from = From::Memory;
        }
        self.has_more.set(true);
    }

    fn rest(&self, handlers: &Handlers) -> Rest {
        let rest = self.channel.borrow_mut().as_mut().map_or(Ok(Rest::Asleep), Channel::rest);
        rest.unwrap_or_else(|error| {
            self.end(handlers, Some(error));
            Rest::Asleep
        })
    }

    /// The peer won't send any more, or nothing that makes sense.
    fn end(&self, handlers: &Handlers, error: Option<Error>) {
        self.reading.set(false);
        let Handlers { caller, on_end, .. } = handlers;
        if let Some(alongside) = self.alongside.get() {
            // What comes behind messages that will not come.
            let mut is_left = !alongside.receive().is_empty();
            while is_left {
                caller.enter(|| is_left = alongside.deliver(u64::MAX));
            }
        }
        let reason = error.map(|error| error.to_string());
        caller.enter(|| _ = caller.call(on_end, (reason,).into()));
    }

    /// Gives what is there to JavaScript, and says how many bytes that was.
    fn read(&self, handlers: &Handlers, from: From) -> usize {
        let alongside = self.alongside.get().map(Box::as_ref);
        let marks = alongside.map_or_else(Vec::new, |it| it.receive());
        let mut marks = marks.into_iter().peekable();
        let mut inbox = Inbox::default();
        let mut take = |message: Incoming<'_>| {
            let messages = self.messages.get();
            if marks.peek().is_some_and(|&after| after <= messages) {
                inbox.mark(messages);
                while marks.next_if(|&after| after <= messages).is_some() {}
            }
            self.messages.set(messages + 1);
            if message.kind == Kind::Refused { Ok(()) } else { inbox.take(message) }
        };
        let (received, bytes) = match self.channel.borrow_mut().as_mut() {
            Some(channel) => {
                let before = channel.received();
                let received = match from {
                    From::Both => channel.receive(&mut take),
                    From::Memory => channel.receive_more(&mut take).map(|()| Reading::Open),
                };
                (received, channel.received() - before)
            }
            None => return 0,
        };
        // The rest comes behind messages that are still on their way.
        if marks.peek().is_some_and(|&after| after <= self.messages.get()) {
            inbox.mark(self.messages.get());
        }
        let mut entries = inbox.into_entries().into_iter().peekable();
        while entries.peek().is_some() {
            handlers.caller.enter(|| deliver(&mut entries, handlers, alongside));
        }
        match received {
            Ok(Reading::Open) => {}
            Ok(Reading::Ended) => self.end(handlers, None),
            Err(error) => self.end(handlers, Some(error)),
        }
        bytes
    }

    fn close(&self) -> Result<()> {
        self.reading.set(false);
        drop(self.started.take());
        self.channel.take().map_or(Ok(()), |channel| channel.shutdown())
    }
}

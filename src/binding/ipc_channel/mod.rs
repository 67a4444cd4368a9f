mod handlers;
mod inner;

use std::{borrow::Cow, cell::RefCell, os::fd::RawFd, rc::Rc, time::Duration};

use napi::{
    Env, JsValue,
    bindgen_prelude::{Either, This, Uint8Array},
};
use napi_derive::napi;

pub(super) use self::inner::Alongside;
use self::{
    handlers::{ChannelHandlers, Handlers, NONE},
    inner::{From, Inner, Started},
};
use super::callback::{Caller, reason};
use crate::{
    ipc::{Channel, Payload, SharedBytes},
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        errno,
        node::{
            CleanupHook, Poll, Readiness, Timer,
            function::{self, Argument, Value},
        },
    },
};

/// One end of the IPC channel between a primary and a worker.
#[derive(Clone)]
#[napi]
pub struct IpcChannel {
    inner: Rc<Inner>,
}

impl IpcChannel {
    pub(super) fn new(channel: Channel) -> Self {
        let channel = RefCell::new(Some(channel));
        Self { inner: Rc::new(Inner { channel, ..Inner::default() }) }
    }

    /// Makes the channel deliver messages in order with what the other two lanes bring. Called once, at
    /// most.
    pub(super) fn merge(&self, alongside: impl Alongside + 'static) {
        let _ = self.inner.alongside.set(Box::new(alongside));
    }

    /// Whether messages may still come.
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
impl IpcChannel {
    /// Starts to read. The channel keeps the event loop alive from now on.
    ///
    /// Adds methods to this object that send a message without a handle, and return what `send`
    /// returns: `sendText(json)`, `sendBytes(buffer)`, and `sendString(message)` for a message that is
    /// a string.
    ///
    /// Returns 0, or a negated errno if the system can't watch the descriptor.
    #[napi]
    pub fn start(
        &self,
        env: Env,
        this: This<'_>,
        handlers: ChannelHandlers<'_>,
    ) -> napi::Result<i32> {
        let inner = &self.inner;
        let Some(fd) = inner.channel.borrow().as_ref().map(Channel::fd) else {
            return Ok(0);
        };
        if inner.started.borrow().is_some() {
            return Ok(0);
        }
        let handlers = Rc::new(Handlers {
            caller: Caller::new(env, "rs-cluster.IpcChannel")?,
            on_texts: handlers.on_texts.create_ref()?,
            on_bytes: handlers.on_bytes.create_ref()?,
            on_string: handlers.on_string.create_ref()?,
            on_message: handlers.on_message.create_ref()?,
            on_flushed: handlers.on_flushed.create_ref()?,
            on_end: handlers.on_end.create_ref()?,
        });
        let (channel, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_ready = move |ready| {
            if let Some(channel) = channel.upgrade() {
                channel.ready(ready, &called);
            }
        };
        let event_loop = Caller::event_loop(&env)?;
        let poll = match Poll::new(event_loop, fd, on_ready) {
            Ok(poll) => poll,
            Err(error) if error.raw_os_error().is_some() => return Ok(errno(&error)),
            Err(error) => return Err(reason(error)),
        };
        let (channel, called) = (Rc::downgrade(inner), Rc::clone(&handlers));
        let on_time = move || {
            if let Some(channel) = channel.upgrade() {
                channel.try_again(&called);
            }
        };
        let retry = Timer::new(event_loop, on_time).map_err(reason)?;
        for (name, argument, kind, wide) in [
            (c"sendText", Argument::Text, Kind::Text, Kind::WideText),
            (c"sendString", Argument::AnyText, Kind::String, Kind::WideString),
            (c"sendBytes", Argument::Bytes, Kind::Bytes, Kind::Bytes),
        ] {
            let channel = Rc::downgrade(inner);
            let is_string = kind == Kind::String;
            let send = move |value: Value<'_>| {
                let Some(channel) = channel.upgrade() else { return f64::from(-libc::EPIPE) };
                let (kind, payload) = match value {
                    Value::Utf8(Cow::Borrowed(text)) => (kind, Payload::Borrowed(text)),
                    Value::Utf8(Cow::Owned(text)) => (kind, SharedBytes::new(text).into()),
                    Value::Utf16(text) => (wide, SharedBytes::new(text).into()),
                    Value::Bytes(bytes) => (kind, Payload::Borrowed(bytes)),
                };
                if is_string {
                    channel.answer_string(kind, payload)
                } else {
                    channel.answer(kind, payload, None, NONE)
                }
            };
            let defined =
                function::define(env.raw().cast(), this.raw().cast(), name, argument, send);
            defined.map_err(reason)?;
        }
        let channel = Rc::downgrade(inner);
        let close = move || {
            // The channel ends with the environment.
            let _ = channel.upgrade().map(|channel| channel.close());
        };
        let hook = CleanupHook::new(env.raw().cast(), close).map_err(reason)?;
        inner.reading.set(true);
        inner.started.replace(Some(Started { handlers, poll, retry, _hook: hook }));
        inner.wait();
        Ok(0)
    }

    /// Sends a message, or queues it. Returns how many bytes are queued afterwards, or a negated errno.
    ///
    /// Unless `handleType` is 0, sends a duplicate of the descriptor `fd` with it.
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
        self.inner.answer(
            kind,
            Payload::Borrowed(payload),
            HandleType::from_number(handle_type),
            fd,
        )
    }

    /// Sends the string that another channel was the last to send with `sendString`, without a copy.
    /// Returns what `sendString` returns; null if that string was short, or no channel has it queued
    /// any longer.
    #[napi]
    pub fn send_string_of(&self, other: &IpcChannel) -> Option<f64> {
        let (kind, payload) = other.inner.last_string()?;
        Some(self.inner.answer(kind, payload, None, NONE))
    }

    /// Reads everything that a peer which has died had sent, and calls the handlers at once. Returns
    /// whether that was all; if not, the kernel has run out of memory or descriptors, and the rest is
    /// read later.
    #[napi]
    pub fn finish(&self) -> bool {
        let Some(handlers) = self.inner.handlers() else { return true };
        // Limits the loop, because another process that has the peer's end too could keep sending.
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

    /// Sends what is queued, because this process is about to exit. Blocks until the peer makes room,
    /// for `patience` milliseconds each time. Returns true if all is sent, or the peer no longer reads.
    #[napi(js_name = "flushOnExit")]
    pub fn flush_on_exit(&self, patience: u32) -> bool {
        let patience = Duration::from_millis(patience.into());
        let mut channel = self.inner.channel.borrow_mut();
        channel.as_mut().is_none_or(|channel| channel.flush_on_exit(patience))
    }

    /// Keeps the event loop alive from now on.
    #[napi(js_name = "ref")]
    pub fn reference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.reference();
            started.retry.reference();
        }
    }

    /// No longer keeps the event loop alive.
    #[napi(js_name = "unref")]
    pub fn unreference(&self) {
        if let Some(started) = self.inner.started.borrow().as_ref() {
            started.poll.unreference();
            started.retry.unreference();
        }
    }

    /// The descriptor, or -1 once closed.
    #[napi(getter)]
    pub fn fd(&self) -> i32 {
        self.inner.channel.borrow().as_ref().map_or(-1, Channel::fd)
    }

    /// Closes the channel. The peer still receives what was written. Returns null, or an error text.
    #[napi]
    pub fn close(&self) -> Option<String> {
        self.inner.close().err().map(|error| error.to_string())
    }
}

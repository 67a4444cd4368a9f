use std::os::fd::{IntoRawFd, RawFd};

use napi::bindgen_prelude::{Buffer, FnArgs, Function, FunctionRef};
use napi_derive::napi;

use crate::binding::{
    callback::Caller,
    inbox::{Delivery, Payload, Text},
};

/// Means that there is no descriptor.
pub(super) const NONE: RawFd = -1;

/// Several messages, and their number.
type OnTexts = FnArgs<(Text, u32)>;
/// Several messages.
type OnBytes = FnArgs<(Buffer,)>;
/// The message.
type OnString = FnArgs<(Text,)>;
/// `isInternal`, the message, the type of its handle or 0, the handle's descriptor or -1.
type OnMessage = FnArgs<(bool, Payload, u8, RawFd)>;
/// How many queued messages were sent, and why the next could not be sent (a negated errno) or 0.
type OnFlushed = FnArgs<(u32, i32)>;
/// What was wrong with what the peer sent, if so.
type OnEnd = FnArgs<(Option<String>,)>;

/// The functions that a channel calls.
#[napi(object, object_to_js = false)]
pub struct ChannelHandlers<'a> {
    /// Gets several messages at once, and their count: an array of JSON, or the one value itself.
    pub on_texts: Function<'a, OnTexts, ()>,
    /// Gets several messages at once, as V8 serializes them, each after its length in four bytes,
    /// little-endian, and at a multiple of eight.
    pub on_bytes: Function<'a, OnBytes, ()>,
    /// Gets a message that is a string.
    pub on_string: Function<'a, OnString, ()>,
    /// Gets an internal message, a long message, or one with a handle. The callee owns the descriptor,
    /// which is -1 if there is none, or this process had no number for it.
    pub on_message: Function<'a, OnMessage, ()>,
    /// Gets how many of the messages that `send` had to queue were sent, and why one more could not be
    /// sent, as a negated errno, or 0.
    pub on_flushed: Function<'a, OnFlushed, ()>,
    /// Is called once, as the last: with null when the peer has closed or died, with a text when it
    /// sent invalid data.
    pub on_end: Function<'a, OnEnd, ()>,
}

/// The JavaScript functions to call.
pub(super) struct Handlers {
    pub(super) caller: Caller,
    pub(super) on_texts: FunctionRef<OnTexts, ()>,
    pub(super) on_bytes: FunctionRef<OnBytes, ()>,
    pub(super) on_string: FunctionRef<OnString, ()>,
    pub(super) on_message: FunctionRef<OnMessage, ()>,
    pub(super) on_flushed: FunctionRef<OnFlushed, ()>,
    pub(super) on_end: FunctionRef<OnEnd, ()>,
}

impl Handlers {
    /// Gives messages to JavaScript, with their descriptors.
    pub(super) fn deliver(&self, delivery: Delivery) {
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

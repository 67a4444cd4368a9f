//! The C functions of the Node executable that no safe binding offers: libuv's poll, and Node-API's
//! handle and callback scopes.
//!
//! They are looked up in the running executable, so the core links and tests without Node. libuv's
//! structures are used through its functions only; no layout is assumed. Everything here belongs to
//! the thread of one JavaScript environment, and the types can't leave it.

mod callback;
mod cleanup;
mod event_loop;
pub mod function;
mod shared_bytes;
mod stack;
mod symbols;

pub(crate) use self::callback::{call_function, report_uncaught};
pub(crate) use self::shared_bytes::define_states;
pub use self::{
    callback::{CallbackContext, Called},
    cleanup::CleanupHook,
    event_loop::{EventLoop, Poll, Readiness, Timer, Turns},
    stack::StackProbe,
};

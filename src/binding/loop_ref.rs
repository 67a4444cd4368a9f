use std::cell::Cell;

use napi::{Status, bindgen_prelude::Function, threadsafe_function::ThreadsafeFunction};
use napi_derive::napi;

use super::callback::reason;

type Held = ThreadsafeFunction<(), (), (), Status, false>;

/// Holds the event loop open until it is released. It is no timer and no handle of Node's, so
/// `process.getActiveResourcesInfo()` does not list it.
#[napi]
pub struct LoopRef {
    /// A function that other threads may call holds the loop of its own thread open as long as it
    /// lives. This one is never called.
    held: Cell<Option<Held>>,
}

#[napi]
impl LoopRef {
    /// `uncalled` is any function.
    #[napi(constructor)]
    pub fn new(uncalled: Function<(), ()>) -> napi::Result<Self> {
        let held = uncalled.build_threadsafe_function().build().map_err(reason)?;
        Ok(Self { held: Cell::new(Some(held)) })
    }

    /// No longer holds it.
    #[napi]
    pub fn release(&self) {
        drop(self.held.take());
    }
}

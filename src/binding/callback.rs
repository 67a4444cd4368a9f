use napi::{
    Env,
    bindgen_prelude::{Error, FunctionRef, JsValuesTupleIntoVec},
};

use crate::sys::node::{CallbackContext, EventLoop};

/// Calls into JavaScript from a lane that became ready.
pub(super) struct Caller {
    env: Env,
    context: CallbackContext,
}

impl Caller {
    /// `name` is what `async_hooks` shows.
    pub(super) fn new(env: Env, name: &str) -> napi::Result<Self> {
        let context = CallbackContext::new(env.raw().cast(), name).map_err(reason)?;
        Ok(Self { env, context })
    }

    pub(super) fn event_loop(env: &Env) -> napi::Result<EventLoop> {
        Ok(EventLoop::of_environment(env.get_uv_event_loop()?.cast()))
    }

    /// Runs `run` as a callback of its own: what it schedules with `process.nextTick` has run when
    /// this returns.
    pub(super) fn enter(&self, run: impl FnOnce()) {
        self.context.enter(run);
    }

    /// Calls `function`, inside [`enter`](Self::enter). What it throws is an uncaught exception.
    pub(super) fn call<Args: JsValuesTupleIntoVec>(
        &self,
        function: &FunctionRef<Args, ()>,
        args: Args,
    ) {
        let called = function.borrow_back(&self.env).and_then(|function| function.call(args));
        if let Err(thrown) = called {
            self.env.fatal_exception(thrown);
        }
    }
}

/// An error of the core, for JavaScript: its text says which call failed, and why.
pub(super) fn reason(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}

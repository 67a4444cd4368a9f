use napi::{
    Env,
    bindgen_prelude::{Error, FromNapiValue, FunctionRef, JsValuesTupleIntoVec},
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
    /// this returns, unless JavaScript is running already.
    pub(super) fn enter(&self, run: impl FnOnce()) {
        self.context.enter(run);
    }

    /// Calls `function`, inside [`enter`](Self::enter). `None` when it threw, which is an uncaught
    /// exception.
    pub(super) fn call<Args: JsValuesTupleIntoVec, Return: FromNapiValue>(
        &self,
        function: &FunctionRef<Args, Return>,
        args: Args,
    ) -> Option<Return> {
        let called = function.borrow_back(&self.env).and_then(|function| function.call(args));
        called.map_err(|thrown| self.env.fatal_exception(thrown)).ok()
    }
}

/// An error of the core, for JavaScript: its text says which call failed, and why.
pub(super) fn reason(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}

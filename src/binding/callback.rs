use napi::{
    Env, JsValue,
    bindgen_prelude::{Error, FromNapiValue, FunctionRef, JsValuesTupleIntoVec},
};

use crate::sys::node::{self, CallbackContext, Called, EventLoop};

/// Calls JavaScript from the event loop.
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

    /// Runs `run` as a callback of its own: what it schedules with `process.nextTick` has run when this
    /// returns, unless JavaScript was already running.
    pub(super) fn enter(&self, run: impl FnOnce()) {
        self.context.enter(run);
    }

    /// Calls `function`, inside [`enter`](Self::enter).
    pub(super) fn call<Args: JsValuesTupleIntoVec, Return: FromNapiValue>(
        &self,
        function: &FunctionRef<Args, Return>,
        args: Args,
    ) -> Called {
        let env = self.env.raw();
        let prepared = function
            .borrow_back(&self.env)
            .and_then(|function| Ok((function.raw(), args.into_vec(env)?)));
        match prepared {
            Ok((function, args)) => {
                let args: Vec<_> = args.into_iter().map(|it| it.cast()).collect();
                node::call_function(env.cast(), function.cast(), &args)
            }
            // An argument can't be converted, such as a text that is too long.
            Err(error) => {
                self.env.fatal_exception(error);
                Called::Failed
            }
        }
    }
}

/// An error of the core, for JavaScript. Its text says which call failed, and why.
pub(super) fn reason(error: impl std::fmt::Display) -> Error {
    Error::from_reason(error.to_string())
}

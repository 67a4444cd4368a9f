use std::time::Duration;

use napi_derive::napi;

use crate::primary::DrainOptions;

/// How a worker is to drain.
#[napi(object, object_to_js = false)]
pub struct EngineDrain {
    /// How long the worker has to finish what it has, in milliseconds.
    pub timeout: u32,
    /// How long it has after `SIGTERM` before it gets `SIGKILL`, in milliseconds.
    pub kill_timeout: u32,
    /// Why it drains, for the worker's program.
    pub reason: Option<String>,
    /// Whether idle HTTP connections go to other workers.
    pub hands_over: bool,
}

impl From<EngineDrain> for DrainOptions {
    fn from(drain: EngineDrain) -> Self {
        let EngineDrain { timeout, kill_timeout, reason, hands_over } = drain;
        let [timeout, kill_timeout] =
            [timeout, kill_timeout].map(|it| Duration::from_millis(it.into()));
        Self { timeout, kill_timeout, reason, hands_over, keeps_queue: false }
    }
}

use napi_derive::napi;

use crate::protocol::control::DrainOrder;

/// How a worker is to drain.
#[napi(object, object_from_js = false)]
pub struct WorkerDrain {
    /// How long the worker has before the engine ends it, in milliseconds.
    pub time_left: u32,
    /// Why it drains.
    pub reason: Option<String>,
    /// The listeners of which other workers can take idle HTTP connections.
    pub takers: Vec<u32>,
}

impl From<DrainOrder> for WorkerDrain {
    fn from(DrainOrder { time_left, reason, takers }: DrainOrder) -> Self {
        Self { time_left, reason, takers }
    }
}

//! What operators see: supervision as data. Pure, but for the lock of the board.
//!
//! - [`board`]: where the engine's thread shows what it knows, and any thread reads it,
//! - [`record`]: what is remembered of the past (`history`: of the last two minutes),
//! - [`snapshot`]: everything at one moment, which [`status`] shows as JSON, and [`metrics`] as OpenMetrics,
//! - [`facts`]: what supervision reports, as JSON.

pub mod board;
pub mod facts;
mod history;
pub mod metrics;
mod readiness;
pub mod record;
pub mod snapshot;
pub mod status;
#[cfg(test)]
mod tests;

//! What operators see of a supervised program: data, and a page that shows it. Pure, but for a lock.
//!
//! - [`board`]: where the engine's thread shows what it knows, and any thread reads it,
//! - [`record`]: what is remembered of the past (`history`: of the last two minutes),
//! - [`snapshot`]: everything at one moment, which [`status`] shows as JSON, and [`metrics`] as OpenMetrics
//!   ([`text_format`]: as the older format);
//!   [`carried`]: what goes on in another primary; `readiness`: whether the program serves,
//! - [`report`]: what supervision reports, as JSON,
//! - [`page`](mod@page): a page that shows the status,
//! - [`identity`]: which primary this is; [`sockets`]: where operators ask.

pub mod board;
pub(super) mod carried;
mod history;
pub mod identity;
pub mod metrics;
pub mod page;
mod readiness;
pub mod record;
pub mod report;
pub mod snapshot;
pub mod sockets;
pub mod status;
#[cfg(test)]
mod tests;
pub mod text_format;

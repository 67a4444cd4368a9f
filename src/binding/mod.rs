//! The JavaScript face: classes and shapes, and nothing that decides. The only module that names
//! napi.
//!
//! Failures of system calls cross as negated errnos, as those of Node's own handles do, so that
//! JavaScript can make the very errors Node makes of them.

mod callback;
mod engine;
mod engine_event;
mod fork;
mod inbox;
#[cfg(feature = "inject")]
mod inject;
mod message_lane;
mod stats;
mod worker_lanes;
mod worker_process;

//! What JavaScript sees: classes and objects, without rules of their own. The only module that names
//! napi.
//!
//! Failed system calls return negated errnos, as Node's own handles do, so that JavaScript can create
//! the same errors as Node.

mod activation;
mod callback;
mod engine;
mod engine_drain;
mod engine_event;
mod fork;
mod inbox;
#[cfg(feature = "inject")]
mod inject;
mod ipc_channel;
mod operator;
mod recipe;
mod stats;
mod supervision;
mod takeover;
mod worker_lanes;
mod worker_process;

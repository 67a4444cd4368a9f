//! What goes over the lanes: bytes ↔ values. No I/O, no clock.
//!
//! - [`frame`]: the stream of the IPC channel, [`handle`]: what comes along with it,
//! - [`control`]: the packets of the control socket,
//! - [`connection`]: the packets of the hand-off queue.

pub mod connection;
pub mod control;
pub mod frame;
pub mod handle;

/// Names one worker of one primary: `worker.id`. Counts from 1 and is never reused.
pub type WorkerId = u32;

/// Names one listener of one primary's engine. Never reused.
pub type ListenerId = u32;

//! What the lanes carry, as bytes and as values. No I/O, no clock.
//!
//! - [`frame`]: the frames of the IPC channel, [`handle`]: the types of their descriptors,
//! - [`control`]: the packets of the control socket,
//! - [`connection`]: the packets of the hand-off queue,
//! - [`watchdog`]: the packets of the watchdog lane,
//! - [`upgrade`]: the packets between two primaries, one of which takes the place of the other,
//! - [`secret`]: what no log shows.

pub mod connection;
pub mod control;
pub mod frame;
pub mod handle;
pub mod secret;
pub mod upgrade;
pub mod watchdog;

/// Names one worker of one primary: `worker.id`. Counts from 1 and is never reused.
pub type WorkerId = u32;

/// Names one listener of one primary's engine. Never reused.
pub type ListenerId = u32;

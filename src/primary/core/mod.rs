//! The rules of a primary: which worker gets a connection, and what happens to it when workers come,
//! leave, get stuck or run out of descriptors.
//!
//! Inputs are the methods of [`state::Core`], with the time where it matters; what they do goes through
//! the traits of [`driver`]. Nothing here makes a system call, reads a clock or waits
//! (`tests/architecture.rs`), so [`simulation`] can play a thousand workers in memory.
//!
//! - [`availability`]: the state machine that says whether a worker may get a connection,
//! - [`dispatch`]: the way of a connection, in its order; [`reclaim`]: the way back,
//! - [`members`]: what follows when a worker's availability changes, when it joins or leaves a listener,
//! - [`draining`]: how a worker leaves, and when it is ended; [`parking`]: the idle connections that it
//!   leaves to others; [`flush`]: what waits here goes to workers before all of these leave,
//! - [`listening`]: binding, sharing and closing addresses; [`handover`]: how another primary gets them, and what
//!   waits here,
//! - [`standby`]: nothing is accepted before another primary leaves its place; what comes from that one,
//! - [`stalls`]: workers that take nothing; [`progress`]: whether one of them takes what waits for it; [`suspicion`]:
//!   whether it is stuck or only waits for a processor,
//! - [`worker`], [`listener`], [`sockets`], [`drain`], [`parked`], [`successor`]: what the registries of [`state`] consist of,
//! - [`supervise`]: slots, their workers, and what the program has done with them,
//! - [`deadlines`]: when to call [`state::Core::expire`]; [`quota`]: what one worker may ask for;
//!   [`stats`]: what is counted,
//! - [`workbench`]: all of it without a driver's I/O, for measurements.

pub(super) mod availability;
pub(super) mod deadlines;
pub(super) mod dispatch;
pub(super) mod drain;
pub(super) mod draining;
pub(super) mod driver;
mod flush;
pub(super) mod handover;
pub(super) mod listener;
pub(super) mod listening;
pub(super) mod members;
pub(super) mod parked;
pub(super) mod parking;
pub(super) mod progress;
pub(super) mod quota;
pub(super) mod reclaim;
pub(super) mod round;
#[cfg(test)]
mod simulation;
pub(super) mod sockets;
pub(super) mod stalls;
pub(super) mod standby;
pub(super) mod state;
/// Counts of connections.
pub mod stats;
pub(super) mod successor;
/// Slots, and their workers.
pub(super) mod supervise;
pub(super) mod suspicion;
#[doc(hidden)]
pub mod workbench;
pub(super) mod worker;

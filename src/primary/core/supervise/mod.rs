//! Supervision: a program's slots are kept filled with workers that are ready, and all of them are replaced
//! without a moment in which fewer serve.
//!
//! The rules are those of [`supervisor::Supervisor`], which knows nothing of connections: its inputs are what
//! the program asks for, what workers do, and the time; its [`supervisor::Effect`]s are carried out by
//! [`carry_out`].
//!
//! - [`options`], [`report`]: the vocabulary,
//! - [`slot`], [`member`], [`operation`]: the states,
//! - [`supervisor`]: the registries; [`filling`]: how slots get workers; [`readiness`]: when a worker is ready;
//!   [`failures`]: what follows when one fails; [`operations`]: reload, scale, restart, stop; [`upgrading`]: how
//!   another primary takes over; [`deadlines`]: what happens by time alone,
//! - [`beat`]: whether a worker's event loop turns; [`watched`]: what is known of that; [`looks`]: when workers
//!   are looked at, and what follows,
//! - [`standby`]: workers that wait until another primary leaves its place to this one,
//! - [`status`]: what the program can read at any time; [`notices`]: what a service manager is told.

mod beat;
pub(super) mod carry_out;
mod deadlines;
mod failures;
mod filling;
pub(super) mod looks;
pub(crate) mod member;
pub(crate) mod notices;
pub(crate) mod operation;
mod operations;
/// What the program asks of supervision.
pub mod options;
mod random;
mod readiness;
/// What supervision tells the program.
pub mod report;
#[cfg(test)]
mod simulation;
mod slot;
mod standby;
/// The state of supervision, for other threads.
pub mod status;
pub(crate) mod supervisor;
mod upgrading;
pub(super) mod watched;

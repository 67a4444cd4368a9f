//! The primary's side: forking on the caller's thread, everything after it on the engine thread.
//!
//! - [`fork`]: lanes made, process started; what the engine and JavaScript each get of it,
//! - [`Engine`]: the handle that JavaScript holds; [`Command`]s go down, [`Event`]s come up,
//! - `driver`, `seat`: the tasks that wait, one for each worker and each listening socket,
//! - `state`: what they change, in calls that never wait; its `patrol` looks after workers that take
//!   nothing, and `suspicion` tells whether one is stuck,
//! - `listener`, `listening_socket`, `worker`: what the state is made of; `placement`: which worker gets a connection,
//! - `simulation`: a test of the state with workers that do anything,
//! - `round`: looks at the many sockets of one worker; `quota`: what a worker may ask for,
//! - `story`: what the engine tells of itself; [`stats`]: what it counts, for any thread to read.

mod driver;
mod engine;
pub mod fork;
mod guard;
mod listener;
mod listening_socket;
mod placement;
mod quota;
mod round;
mod seat;
#[cfg(test)]
mod simulation;
mod state;
/// Counts of connections.
pub mod stats;
mod story;
mod suspicion;
mod worker;

pub use engine::{Command, Engine, Event, Scheduling, Settings};

//! The primary's side: forking on the caller's thread, everything after it on the engine's thread.
//!
//! - [`fork`]: lanes made, process started; what the engine and JavaScript each get of it,
//! - [`Engine`]: what JavaScript holds; [`Command`]s go down, [`Event`]s come up (`messages`),
//! - `core`: the rules, which decide and do nothing else,
//! - `driver`: the engine's thread, which carries them out,
//! - [`stats`]: what is counted, for any thread to read.

mod core;
mod driver;
mod engine;
pub mod fork;
mod messages;

pub use self::{
    core::{drain::DrainOptions, stats},
    engine::Engine,
    messages::{Command, Event, Settings},
};
pub use crate::scheduler::Scheduling;

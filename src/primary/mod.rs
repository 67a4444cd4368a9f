//! The primary's side: forking on the caller's thread, everything after it on the engine's thread.
//!
//! - [`recipe`]: what it takes to start a worker; [`stdio`]: its descriptors; [`fork`]: lanes made, process
//!   started; what the engine and JavaScript each get of it; [`primary_recipe`]: the same for another primary,
//! - `worker_ids`: the ids of workers, for both threads,
//! - [`forker`]: the thread that starts workers for the engine; `output_relay`: what they write,
//! - [`inherit`]: sockets that come from elsewhere,
//! - [`Engine`]: what JavaScript holds; [`Command`]s go down, [`Event`]s come up (`messages`),
//! - `core`: the rules, which decide and do nothing else,
//! - `driver`: the engine's thread, which carries them out,
//! - [`ticket_keys`]: the keys of TLS session tickets,
//! - [`operator`]: what operators see,
//! - [`stats`]: what is counted, for any thread to read.

mod core;
mod driver;
mod engine;
pub mod fork;
pub mod forker;
pub mod inherit;
mod messages;
pub mod operator;
mod output_relay;
pub mod primary_recipe;
pub mod recipe;
pub mod stdio;
pub mod ticket_keys;
mod worker_ids;

#[doc(hidden)]
pub use self::core::workbench;
pub use self::{
    core::{
        drain::DrainOptions,
        stats,
        supervise::{options, report, status},
    },
    engine::{Engine, Offered},
    messages::{
        Command, Event, NotifySocket, OperatorOrder, Order, Reply, RunOptions, Settings, Supervise,
    },
};
pub use crate::scheduler::Scheduling;

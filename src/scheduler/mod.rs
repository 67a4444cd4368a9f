//! Policies: which worker gets the next connection. No I/O, no clock.

mod round_robin;

pub use round_robin::RoundRobin;

use crate::protocol::WorkerId;

/// Decides for one listener.
pub trait Policy {
    /// `worker` serves the listener from now on.
    fn join(&mut self, worker: WorkerId);

    /// `worker` no longer serves the listener. Says whether it did.
    fn leave(&mut self, worker: WorkerId) -> bool;

    /// The worker that gets the next connection.
    ///
    /// `waiting` tells how many connections wait at a worker, or `None` when it can take no more.
    /// Asking costs a system call, so a policy asks for as few workers as it can. `None` comes out
    /// when no worker can take one.
    fn choose(&mut self, waiting: &mut dyn FnMut(WorkerId) -> Option<usize>) -> Option<WorkerId>;
}

//! Policies: which worker gets the next connection. No I/O, no clock.
//!
//! Apart from a logarithm, the cost of a decision does not depend on the number of workers
//! (`simulation`, with a thousand; `benches/scheduler.rs`).

mod hash_ring;
mod least_connections;
mod rotation;
mod round_robin;
#[cfg(test)]
pub(crate) mod simulation;
mod source_hash;
mod unavailable;

use core::net::IpAddr;

pub use least_connections::LeastConnections;
pub use round_robin::RoundRobin;
pub use source_hash::SourceHash;

use crate::protocol::WorkerId;

/// How connections get to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// Each worker accepts from the shared socket: `SCHED_NONE`.
    Shared,
    /// The engine accepts and hands over, to workers in turn: `SCHED_RR`.
    RoundRobin,
    /// The engine hands over to the worker with the fewest open connections: `SCHED_LEAST_CONNECTIONS`.
    LeastConnections,
    /// The engine hands over to the worker of the client's address: `SCHED_SOURCE_HASH`.
    SourceHash,
    /// Each worker accepts from a socket of its own, and the engine for those that can't:
    /// `SCHED_REUSEPORT`. As `RoundRobin` where there is no port, or the kernel does not spread
    /// connections.
    ReusePort,
}

impl Scheduling {
    /// By its number in JavaScript.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Shared),
            2 => Some(Self::RoundRobin),
            3 => Some(Self::LeastConnections),
            4 => Some(Self::SourceHash),
            5 => Some(Self::ReusePort),
            _ => None,
        }
    }

    /// What the kernel can do of it. One that does not spread connections over the sockets of a port would
    /// give all to one worker.
    pub fn available(self, kernel_spreads: bool) -> Self {
        match self {
            Self::ReusePort if !kernel_spreads => Self::RoundRobin,
            scheduling => scheduling,
        }
    }

    /// A policy for one listener, unless the workers accept themselves.
    pub fn policy(self) -> Option<Box<dyn Policy>> {
        match self {
            Self::Shared => None,
            Self::RoundRobin | Self::ReusePort => Some(Box::<RoundRobin>::default()),
            Self::LeastConnections => Some(Box::<LeastConnections>::default()),
            Self::SourceHash => Some(Box::<SourceHash>::default()),
        }
    }
}

/// What a policy can ask about the workers, and about the connection.
pub trait Situation {
    /// How many connections wait for a worker, or `None` when it can take no more. A policy queries few
    /// workers, however many there are.
    fn waiting(&self, worker: WorkerId) -> Option<usize>;

    /// How many connections a worker has open, including those that wait for it, or `None` when it can
    /// take no more.
    fn open(&self, worker: WorkerId) -> Option<usize>;

    /// The address of the connection's client; `None` if it is not an internet address. Takes a system
    /// call.
    fn source(&self) -> Option<IpAddr>;
}

/// Chooses workers for the connections of one listener.
pub trait Policy {
    /// `worker` serves the listener from now on.
    fn join(&mut self, worker: WorkerId);

    /// `worker` no longer serves the listener. Returns whether it did before.
    fn leave(&mut self, worker: WorkerId) -> bool;

    /// `worker`, which could take no more connections, may be able to again. Must be called whenever
    /// that changes: until then the policy does not query this worker, as long as others can take
    /// connections.
    fn restore(&mut self, worker: WorkerId);

    /// The worker that gets the connection; `None` when no worker can take one.
    fn choose(&mut self, situation: &dyn Situation) -> Option<WorkerId>;
}

#[cfg(test)]
mod test_situation {
    use super::*;

    /// Made of a function for each question.
    pub(super) struct Situated<W, O> {
        pub(super) waiting: W,
        pub(super) open: O,
        pub(super) source: Option<IpAddr>,
    }

    impl<W, O> Situation for Situated<W, O>
    where
        W: Fn(WorkerId) -> Option<usize>,
        O: Fn(WorkerId) -> Option<usize>,
    {
        fn waiting(&self, worker: WorkerId) -> Option<usize> {
            (self.waiting)(worker)
        }

        fn open(&self, worker: WorkerId) -> Option<usize> {
            (self.open)(worker)
        }

        fn source(&self) -> Option<IpAddr> {
            self.source
        }
    }
}

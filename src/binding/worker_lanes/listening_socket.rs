use std::os::fd::OwnedFd;

use crate::sys::node::Poll;

/// A listening socket to accept from.
pub(super) struct ListeningSocket {
    pub(super) poll: Poll,
    pub(super) socket: OwnedFd,
    pub(super) ownership: Ownership,
}

#[derive(Clone, Copy)]
pub(super) enum Ownership {
    /// Of this worker's own. What it does not take is the engine's, which counts what it takes.
    Own {
        /// What the engine calls it where accepted connections are counted.
        slot: Option<u8>,
    },
    /// The one that all workers have. The engine knows nothing of its connections.
    Shared,
}

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
    /// The worker's own socket. The engine accepts what the worker does not, and reads the worker's
    /// counters.
    Own {
        /// The counter slot for connections accepted from it.
        slot: Option<u8>,
    },
    /// The socket that all workers share. The engine does not count its connections.
    Shared,
}

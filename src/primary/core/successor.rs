//! What is known of the primary that is about to take over; see [`handover`](super::handover).

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    driver::Driver,
    listener::{Delivery, Listener},
};
use crate::protocol::{
    ListenerId, WorkerId,
    control::{BoundAddress, Query, Target},
};

/// What is known of the successor, as long as it is there.
pub(crate) struct Successor {
    pub(super) phase: Phase,
    /// The listeners of which it has the sockets.
    pub(super) offered: HashSet<ListenerId>,
    /// Those that its workers serve, and whether one of these takes idle connections there.
    pub(super) takes: HashMap<ListenerId, bool>,
    /// Offered listeners without workers, and how long connections would wait for a worker there.
    pub(super) unserved: HashMap<ListenerId, Duration>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It gets ready.
    Offered,
    /// Whether it serves is known soon.
    Committing,
    Serving,
    /// All workers have ended; what they have left is awaited until then.
    Ending(Instant),
}

/// A listener for the successor.
pub(crate) struct Offer<S> {
    pub(crate) listener: ListenerId,
    pub(crate) query: Query,
    pub(crate) address: Option<BoundAddress>,
    pub(crate) data: Option<serde_json::Value>,
    /// Whether a Unix socket has a file, which is to be removed when it closes.
    pub(crate) has_file: bool,
    /// Whether no supervised worker serves it.
    pub(crate) is_unserved: bool,
    pub(crate) sockets: Vec<S>,
}

impl Successor {
    pub(super) fn new(offered: impl Iterator<Item = ListenerId>) -> Self {
        Self {
            phase: Phase::Offered,
            offered: offered.collect(),
            takes: HashMap::new(),
            unserved: HashMap::new(),
        }
    }

    pub(super) fn serves(&self) -> bool {
        matches!(self.phase, Phase::Serving | Phase::Ending(_))
    }
}

impl<S> Offer<S> {
    pub(super) fn of<D: Driver<Socket = S>>(
        id: ListenerId,
        listener: &Listener<D>,
        is_supervised: impl Fn(WorkerId) -> bool,
    ) -> Self
    where
        S: Clone,
    {
        let sockets = match &listener.delivery {
            Delivery::Shared(socket) => vec![socket.clone()],
            Delivery::Distributed(distribution) => {
                distribution.sockets.iter().map(|it| it.socket.clone()).collect()
            }
        };
        Self {
            listener: id,
            query: listener.query.clone(),
            address: listener.address.clone(),
            data: listener.data.clone(),
            has_file: matches!(&listener.query.target, Target::Unix { path } if !path.starts_with('\0')),
            is_unserved: !listener.members.keys().any(|it| is_supervised(*it)),
            sockets,
        }
    }
}

//! One worker under supervision, from the order to start it until its process has ended.

use std::time::Instant;

use super::report::{Generation, Reason, SlotNumber};
use crate::protocol::control::{Query, Target};

/// An address that a worker listens on.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(super) target: Target,
    pub(super) index: u32,
    /// For people.
    pub(super) name: String,
}

impl Address {
    pub(crate) fn new(query: &Query, name: &str) -> Self {
        Self { target: query.target.clone(), index: query.index, name: name.to_owned() }
    }

    pub(super) fn is_in(&self, addresses: &[Self]) -> bool {
        addresses.iter().any(|it| self.is_asked_for_as(it))
    }

    /// Whether it is the same address, of the same kind, however workers have asked for it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let has_its_name =
            self.name == other.name && self.target.has_datagrams() == other.target.has_datagrams();
        has_its_name || self.is_asked_for_as(other)
    }

    fn is_asked_for_as(&self, other: &Self) -> bool {
        self.target == other.target && self.index == other.index
    }

    pub(super) fn is_for(&self, query: &Query) -> bool {
        self.target == query.target && self.index == query.index
    }
}

/// How far a worker has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// It is not ready, and has to be at this time.
    Starting { deadline: Instant },
    /// It is ready, but takes the place of no other before it has been well until then.
    OnTrial { until: Instant },
    /// It serves.
    Ready { since: Instant },
    /// It is stuck, so it does not count.
    Hung,
    /// It drains, or is about to end otherwise.
    Leaving,
}

/// A worker.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) slot: SlotNumber,
    pub(super) generation: Generation,
    pub(super) phase: Phase,
    /// Whether its process runs.
    pub(super) is_forked: bool,
    /// Whether it may get connections.
    pub(super) is_admitted: bool,
    /// The addresses that it listens on, and when it added the last one.
    pub(super) addresses: Vec<Address>,
    pub(super) listened: Option<Instant>,
    /// Its part of the limits that recycle workers.
    pub(super) part: f64,
    /// Whether it has reached one of them.
    pub(super) is_worn: bool,
    /// Why it leaves.
    pub(super) leaves: Option<Reason>,
}

impl Member {
    /// Whether it is starting or ready.
    pub(super) fn counts(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::OnTrial { .. } | Phase::Ready { .. })
    }

    /// Whether it may have been given connections: one of a generation that serves may be before it listens on all
    /// of its addresses.
    pub(super) fn may_have_connections(&self) -> bool {
        match self.phase {
            Phase::Ready { .. } => true,
            _ => self.is_admitted && !self.addresses.is_empty(),
        }
    }

    /// Whether its event loop has to turn: it is ready, or leaves after it has been.
    pub(super) fn has_to_turn(&self) -> bool {
        let may_hang = matches!(self.phase, Phase::OnTrial { .. } | Phase::Ready { .. });
        may_hang || (matches!(self.phase, Phase::Leaving) && self.is_admitted && self.is_forked)
    }

    /// Since when it has listened on all of its addresses, if it has some.
    pub(super) fn listening_since(&self) -> Option<Instant> {
        self.listened.filter(|_| !self.addresses.is_empty())
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    pub(super) fn ready_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ready { since } => Some(since),
            _ => None,
        }
    }
}

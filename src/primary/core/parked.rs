//! The idle connections of one listener that wait in the engine for their clients; see [`parking`](super::parking).

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// Names one parked connection of a listener.
pub(crate) type ParkedId = u64;

/// The connections of one listener that wait for their clients.
pub(crate) struct Parked<C> {
    connections: HashMap<ParkedId, Waiting<C>>,
    /// The ends of their times, but for those without end.
    ends: BTreeSet<(Instant, ParkedId)>,
    last_id: ParkedId,
    /// The deadline that has been asked for.
    awaited: Option<Instant>,
}

/// A connection that waits for its client.
pub(super) struct Waiting<C> {
    pub(super) connection: C,
    /// When it is closed at the latest.
    pub(super) until: Option<Instant>,
    /// Whether we have ended it, and wait for the client to do the same.
    pub(super) is_ended: bool,
}

impl<C> Default for Parked<C> {
    fn default() -> Self {
        let (connections, ends) = Default::default();
        Self { connections, ends, last_id: 0, awaited: None }
    }
}

impl<C> Parked<C> {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// An id that no connection has had.
    pub(super) fn next_id(&mut self) -> ParkedId {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn insert(&mut self, id: ParkedId, waiting: Waiting<C>) {
        if let Some(until) = waiting.until {
            self.ends.insert((until, id));
        }
        self.connections.insert(id, waiting);
    }

    pub(super) fn get(&self, id: ParkedId) -> Option<&Waiting<C>> {
        self.connections.get(&id)
    }

    pub(super) fn ids(&self) -> Vec<ParkedId> {
        self.connections.keys().copied().collect()
    }

    pub(super) fn remove(&mut self, id: ParkedId) -> Option<Waiting<C>> {
        let waiting = self.connections.remove(&id)?;
        if let Some(until) = waiting.until {
            self.ends.remove(&(until, id));
        }
        Some(waiting)
    }

    /// One whose time is over.
    pub(super) fn next_over(&self, now: Instant) -> Option<ParkedId> {
        self.ends.first().filter(|(until, _)| *until <= now).map(|(_, id)| *id)
    }

    /// The deadline that was asked for is here.
    pub(super) fn clear_deadline(&mut self) {
        self.awaited = None;
    }

    /// The next deadline, unless it has been asked for.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        let next = self.ends.first().map(|(until, _)| *until)?;
        if self.awaited.is_some_and(|awaited| awaited <= next) {
            return None;
        }
        self.awaited = Some(next);
        Some(next)
    }
}

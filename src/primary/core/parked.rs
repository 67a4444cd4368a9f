//! The idle connections of one listener that wait in the engine for their clients; see [`parking`](super::parking).

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use super::deadlines::Awaited;

/// Names one parked connection of a listener.
pub(crate) type ParkedId = u64;

/// The connections of one listener that wait for their clients.
pub(crate) struct Parked<C> {
    connections: HashMap<ParkedId, Waiting<C>>,
    /// The ends of their times, but for those without end.
    ends: BTreeSet<(Instant, ParkedId)>,
    /// Those that have been ended, and when to close them: their clients have time to read the end.
    ended: VecDeque<(Instant, C)>,
    /// While no worker can take them: when all are ended.
    pub(super) abandoned: Option<Instant>,
    last_id: ParkedId,
    pub(super) awaited: Awaited,
}

/// A connection that waits for its client.
pub(super) struct Waiting<C> {
    pub(super) connection: C,
    /// When it is closed at the latest.
    pub(super) until: Option<Instant>,
}

impl<C> Default for Parked<C> {
    fn default() -> Self {
        let (connections, ends, ended) = Default::default();
        Self { connections, ends, ended, abandoned: None, last_id: 0, awaited: Awaited::default() }
    }
}

impl<C> Parked<C> {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.ended.is_empty()
    }

    /// Keeps a connection that has been ended until then.
    pub(super) fn push_ended(&mut self, until: Instant, connection: C) {
        self.ended.push_back((until, connection));
    }

    /// Takes one that has been ended for long enough.
    pub(super) fn pop_ended(&mut self, now: Instant) -> Option<C> {
        self.ended.front().filter(|(until, _)| *until <= now)?;
        self.ended.pop_front().map(|(_, connection)| connection)
    }

    /// Takes all that have been ended.
    pub(super) fn take_ended(&mut self) -> VecDeque<(Instant, C)> {
        std::mem::take(&mut self.ended)
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

    /// Takes one whose time is over, or any.
    pub(super) fn pop_over(&mut self, now: Instant, any: bool) -> Option<(ParkedId, Waiting<C>)> {
        let over = self.ends.first().filter(|(until, _)| *until <= now).map(|(_, id)| *id);
        let id = over.or_else(|| self.connections.keys().next().copied().filter(|_| any))?;
        Some((id, self.remove(id)?))
    }

    /// When something is to be done, if that has not been asked for.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        let (end, ended) = (self.ends.first(), self.ended.front());
        let ends = [end.map(|it| it.0), ended.map(|it| it.0), self.abandoned];
        self.awaited.ask(ends.into_iter().flatten().min()?)
    }
}

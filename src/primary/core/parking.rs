//! Idle connections of workers that drain. They wait in the engine rather than in another worker, for which
//! they would be new connections: it would have to hold them all, and would answer with an error if a client
//! stayed silent for too long. A connection goes to a worker when its client sends something, and is closed
//! when the client closes it, or when the time is over for which it may expect the connection to stay open.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Acceptors, Connection, Driver, Forwarded, Received},
    listener::{Distribution, Listener},
    parked::{ParkedId, Waiting},
    state::Core,
};
use crate::protocol::{ListenerId, WorkerId};

/// How long a connection that was ended here stays open for its client to read the end, before it is
/// closed: a request that crosses the end would otherwise make the kernel reset the connection.
const LINGER: Duration = Duration::from_secs(1);

/// How long an idle connection may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    /// For how long its client may expect it to stay open; `None` if that has no end.
    pub(crate) time: Option<Duration>,
    /// For how long it waits if no worker can take it.
    pub(crate) timeout: Duration,
}

impl<D: Driver> Core<D> {
    /// A worker that drains leaves an idle connection to the engine. `left` is for how long its client may
    /// expect it to stay open; `None` if that has no end. Without `has_room` there are too few descriptors to
    /// keep it here, so a worker gets it at once.
    pub(crate) fn park(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        connection: D::Connection,
        left: Option<Duration>,
        has_room: bool,
        now: Instant,
    ) {
        self.count(id, listener, |counts| counts.moved += 1);
        if self.is_handed_over(listener) {
            return self.driver.forward(listener, connection, Forwarded::Idle { left });
        }
        let timeout = self.queue_timeout_of(id);
        self.keep_parked(listener, connection, Left { time: left, timeout }, has_room, now);
    }

    /// As [`park`](Self::park), wherever the connection comes from.
    pub(crate) fn keep_parked(
        &mut self,
        listener: ListenerId,
        connection: D::Connection,
        Left { time: left, timeout }: Left,
        has_room: bool,
        now: Instant,
    ) {
        let has_taker = self.listeners.get(&listener).is_some_and(Listener::has_taker);
        // A time that can't be represented does not end.
        let until = left.and_then(|left| now.checked_add(left));
        let Some(distribution) = self.distribution(listener) else {
            return self.driver.close(connection);
        };
        if !has_taker {
            distribution.parked.abandoned.get_or_insert(now + timeout);
        }
        let refused = if has_room {
            distribution.park(Waiting { connection, until })
        } else {
            Some(connection)
        };
        match refused {
            None => self.await_parked(listener),
            Some(connection) if self.place_parked(listener, &connection, now) => {
                self.driver.close(connection);
            }
            Some(connection) => self.accepted_before(listener, connection, true, now),
        }
    }

    fn queue_timeout_of(&self, id: WorkerId) -> Duration {
        self.worker_or_departed(id).map_or(Duration::ZERO, |worker| worker.queue_timeout)
    }

    /// Workers can take parked connections of the listener again, or the last one of these has left: then the
    /// connections wait for the next one, but not for longer than `timeout`.
    pub(super) fn set_abandoned(
        &mut self,
        listener: ListenerId,
        timeout: Option<Duration>,
        now: Instant,
    ) {
        let Some(distribution) = self.distribution(listener) else {
            return;
        };
        let parked = &mut distribution.parked;
        let has_any = !parked.is_empty();
        parked.abandoned = timeout.filter(|_| has_any).map(|timeout| now + timeout);
        self.await_parked(listener);
    }

    /// Whether a parked connection of the listener could go to a worker now.
    pub(crate) fn may_unpark(&self, listener: ListenerId) -> bool {
        self.may_accept(listener) && self.has_room_for_parked(listener)
    }

    /// The client of a parked connection has sent something, or has gone.
    pub(crate) fn parked_ready(&mut self, listener: ListenerId, id: ParkedId, now: Instant) {
        let Some(distribution) = self.distribution(listener) else {
            return;
        };
        let Some(waiting) = distribution.parked.remove(id) else {
            return;
        };
        // A client that is served finds itself counted.
        distribution.counters.set_parked(distribution.parked.len());
        let has_ended = waiting.connection.received() == Received::End;
        // What is ready without bytes, for whatever reason, is better known to a worker.
        let is_over = has_ended || self.place_parked(listener, &waiting.connection, now);
        let Some(distribution) = self.distribution(listener) else {
            return self.driver.close(waiting.connection);
        };
        if is_over {
            distribution.forget_parked(id, &waiting.connection);
            self.driver.close(waiting.connection);
        } else {
            distribution.parked.insert(id, waiting);
            distribution.counters.set_parked(distribution.parked.len());
        }
    }

    /// The times of parked connections are over. What has come by now is served nevertheless, unless no
    /// worker has come that could.
    pub(super) fn end_parked(&mut self, listener: ListenerId, now: Instant) {
        let Self { driver, listeners, .. } = self;
        let found = listeners.get_mut(&listener).and_then(Listener::distribution_mut);
        let Some(distribution) = found else {
            return;
        };
        if !distribution.parked.awaited.take(now) {
            return;
        }
        while let Some(connection) = distribution.parked.pop_ended(now) {
            driver.close(connection);
        }
        let is_abandoned = distribution.parked.abandoned.take_if(|at| *at <= now).is_some();
        while let Some((id, waiting)) = distribution.parked.pop_over(now, is_abandoned) {
            let Waiting { connection, .. } = waiting;
            if !is_abandoned && connection.received() == Received::Bytes {
                // The task that watches it is to see that, when a worker has room for it.
                distribution.parked.insert(id, Waiting { connection, until: None });
            } else {
                distribution.forget_parked(id, &connection);
                connection.end();
                distribution.parked.push_ended(now + LINGER, connection);
            }
        }
        self.await_parked(listener);
    }

    /// Gives all parked connections to workers, as far as there are some that can take them.
    pub(super) fn unpark_all(&mut self, now: Instant) {
        let has_parked = |listener: &Listener<D>| {
            let parked = listener.distribution().map_or(0, |it| it.parked.len());
            parked > 0 && listener.has_taker()
        };
        let listeners = self.listeners.iter().filter(|(_, listener)| has_parked(listener));
        for id in listeners.map(|(&id, _)| id).collect::<Vec<_>>() {
            let Some(distribution) = self.distribution(id) else { continue };
            for parked in distribution.parked.ids() {
                if let Some(connection) = distribution.unpark(parked) {
                    distribution.add_returned(connection, true);
                }
            }
            self.dispatch(id, now);
        }
    }

    /// Asks to be called when the next parked connection of the listener has waited for long enough.
    pub(super) fn await_parked(&mut self, listener: ListenerId) {
        let next = self.distribution(listener).and_then(|it| it.parked.next_deadline());
        if let Some(next) = next {
            self.deadlines.add(next, Due::Parked(listener));
        }
    }
}

impl<D: Driver> Distribution<D> {
    /// Watches a connection. Returns it where the driver can't.
    fn park(&mut self, waiting: Waiting<D::Connection>) -> Option<D::Connection> {
        let id = self.parked.next_id();
        if !self.acceptors.watch_parked(id, &waiting.connection) {
            return Some(waiting.connection);
        }
        self.parked.insert(id, waiting);
        self.counters.set_parked(self.parked.len());
        None
    }

    fn unpark(&mut self, id: ParkedId) -> Option<D::Connection> {
        let Waiting { connection, .. } = self.parked.remove(id)?;
        self.forget_parked(id, &connection);
        Some(connection)
    }

    /// Takes out all that wait for their clients.
    pub(super) fn take_parked(&mut self) -> Vec<Waiting<D::Connection>> {
        let ids = self.parked.ids().into_iter();
        let taken = ids.filter_map(|id| {
            let waiting = self.parked.remove(id)?;
            self.forget_parked(id, &waiting.connection);
            Some(waiting)
        });
        taken.collect()
    }

    fn forget_parked(&self, id: ParkedId, connection: &D::Connection) {
        self.acceptors.unwatch_parked(id, connection);
        self.counters.set_parked(self.parked.len());
    }

    /// Closes the parked connections.
    pub(super) fn close_parked(&mut self, driver: &mut D) {
        for (_, connection) in self.parked.take_ended() {
            driver.close(connection);
        }
        for id in self.parked.ids() {
            if let Some(connection) = self.unpark(id) {
                driver.close(connection);
            }
        }
    }

    /// Takes over the parked connections of another listener of the address. What can't be watched goes to
    /// workers.
    pub(super) fn inherit_parked(&mut self, other: &mut Self) {
        for id in other.parked.ids() {
            let Some(waiting) = other.parked.remove(id) else { continue };
            other.forget_parked(id, &waiting.connection);
            if let Some(connection) = self.park(waiting) {
                self.add_returned(connection, true);
            }
        }
        for (until, connection) in other.parked.take_ended() {
            self.parked.push_ended(until, connection);
        }
    }
}

//! Idle connections of workers that drain. They wait in the engine rather than in another worker, for which
//! they would be new connections: it would have to hold them all, and would answer with an error if a client
//! stayed silent for too long. A connection goes to a worker when its client sends something, and is closed
//! when the client closes it, or when the time is over for which it may expect the connection to stay open.

use std::time::{Duration, Instant};

use super::{
    deadlines::Due,
    driver::{Acceptors, Connection, Driver, Received},
    listener::Distribution,
    parked::{ParkedId, Waiting},
    state::Core,
};
use crate::protocol::{ListenerId, WorkerId};

/// How long a connection that was ended here stays open for its client to read the end, before it is
/// closed: a request that crosses the end would otherwise make the kernel reset the connection.
const LINGER: Duration = Duration::from_secs(1);

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
        // A time that can't be represented does not end.
        let until = left.and_then(|left| now.checked_add(left));
        let Some(distribution) = self.distribution(listener) else {
            return self.driver.close(connection);
        };
        let refused = if has_room {
            distribution.park(Waiting { connection, until, is_ended: false })
        } else {
            Some(connection)
        };
        match refused {
            None => self.await_parked(listener),
            Some(connection) => {
                distribution.add_unparked(connection);
                self.dispatch(listener, now);
            }
        }
    }

    /// Whether a parked connection of the listener could go to a worker now.
    pub(crate) fn may_unpark(&self, listener: ListenerId) -> bool {
        let has_taker = self.listeners.get(&listener).is_some_and(|it| it.has_taker());
        has_taker && self.may_accept(listener)
    }

    /// The client of a parked connection has sent something, or has gone.
    pub(crate) fn parked_ready(&mut self, listener: ListenerId, id: ParkedId, now: Instant) {
        let Some(distribution) = self.distribution(listener) else {
            return;
        };
        let Some(waiting) = distribution.parked.get(id) else {
            return;
        };
        let received = waiting.connection.received();
        let is_over = waiting.is_ended || received == Received::End;
        if received == Received::Nothing {
            return;
        }
        let Some(connection) = distribution.unpark(id) else {
            return;
        };
        if is_over {
            self.driver.close(connection);
        } else {
            distribution.add_unparked(connection);
            self.dispatch(listener, now);
        }
    }

    /// The times of parked connections are over. What has come by now is served nevertheless.
    pub(super) fn end_parked(&mut self, listener: ListenerId, now: Instant) {
        if let Some(distribution) = self.distribution(listener) {
            distribution.parked.clear_deadline();
        }
        loop {
            let Some(distribution) = self.distribution(listener) else {
                return;
            };
            let Some(id) = distribution.parked.next_over(now) else {
                break;
            };
            let Some(waiting) = distribution.parked.remove(id) else {
                break;
            };
            let Waiting { connection, is_ended, .. } = waiting;
            if is_ended {
                distribution.forget_parked(id, &connection);
                self.driver.close(connection);
            } else if connection.received() == Received::Bytes {
                // The task that watches it is to see that, when a worker has room for it.
                let waiting = Waiting { connection, until: None, is_ended };
                distribution.parked.insert(id, waiting);
            } else {
                connection.end();
                let until = Some(now + LINGER);
                let waiting = Waiting { connection, until, is_ended: true };
                distribution.parked.insert(id, waiting);
            }
        }
        self.await_parked(listener);
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

    fn forget_parked(&self, id: ParkedId, connection: &D::Connection) {
        self.acceptors.unwatch_parked(id, connection);
        self.counters.set_parked(self.parked.len());
    }

    /// Closes the parked connections.
    pub(super) fn close_parked(&mut self, driver: &mut D) {
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
                self.add_unparked(connection);
            }
        }
    }
}

//! What is known of the drain of one worker; see [`draining`](super::draining).

use std::time::{Duration, Instant};

use super::deadlines::Awaited;
use crate::protocol::{ListenerId, control::DrainOrder};

/// How often a worker that may be stuck is asked whether it has something open.
const LOOK: Duration = Duration::from_millis(250);

/// What the program asks of a drain.
#[derive(Debug, Clone)]
pub struct DrainOptions {
    /// How long the worker has to finish what it has; then its connections are cut.
    pub timeout: Duration,
    /// How long it has after `SIGTERM` before it gets `SIGKILL`.
    pub kill_timeout: Duration,
    /// Why it drains, for the worker's program.
    pub reason: Option<String>,
    /// Whether idle HTTP connections go to other workers.
    pub hands_over: bool,
    /// Whether the worker serves what waits in its queue, because all workers drain, and none will be left that
    /// could.
    pub keeps_queue: bool,
}

/// The state of one drain.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(super) deadline: Instant,
    pub(super) kill_timeout: Duration,
    pub(super) reason: Option<String>,
    pub(super) phase: Phase,
    pub(super) awaited: Awaited,
    /// The listeners that the worker served, if it is to leave idle connections to others.
    pub(super) served: Vec<ListenerId>,
    /// Those of them of which other workers can take idle connections now.
    pub(super) takers: Vec<ListenerId>,
    /// Whether it is to keep idle connections, whoever could take them.
    pub(super) keeps_all: bool,
}

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It finishes what it has.
    Finishing,
    /// It has nothing open, and is ended at this time.
    Leaving(Instant),
    /// It has got `SIGTERM`, and gets `SIGKILL` at this time.
    Terminated(Instant),
    Killed,
}

impl Drain {
    /// What to tell the worker.
    pub(super) fn order(&self, now: Instant) -> DrainOrder {
        let left = self.deadline.saturating_duration_since(now).as_millis();
        DrainOrder {
            time_left: u32::try_from(left).unwrap_or(u32::MAX),
            reason: self.reason.clone(),
            takers: self.takers.clone(),
        }
    }

    /// When something is to be done, if that has not been asked for.
    pub(super) fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let next = match self.phase {
            Phase::Finishing if self.is_about_to_end(now) => self.deadline,
            Phase::Finishing => (now + LOOK).min(self.deadline - LOOK),
            Phase::Leaving(at) | Phase::Terminated(at) => at,
            Phase::Killed => return None,
        };
        self.awaited.ask(next)
    }

    /// Whether the next look is at the deadline.
    pub(super) fn is_about_to_end(&self, now: Instant) -> bool {
        now + LOOK >= self.deadline
    }

    /// Whether the worker may leave idle connections of the listener to the engine.
    pub(super) fn moves(&self, listener: ListenerId) -> bool {
        self.served.contains(&listener)
    }

    /// The worker is to keep its idle connections from now on. Those that are on their way still come. Says
    /// whether that is new to the worker.
    pub(super) fn keep_all(&mut self) -> bool {
        self.keeps_all = true;
        let had_takers = !self.takers.is_empty();
        self.takers.clear();
        had_takers
    }

    /// Other workers can take idle connections of the listener, or can not. Says whether that is new to the
    /// worker.
    pub(super) fn set_taker(&mut self, listener: ListenerId, has_taker: bool) -> bool {
        if self.keeps_all || !self.moves(listener) || self.takers.contains(&listener) == has_taker {
            return false;
        }
        if has_taker {
            self.takers.push(listener);
        } else {
            self.takers.retain(|it| *it != listener);
        }
        true
    }
}

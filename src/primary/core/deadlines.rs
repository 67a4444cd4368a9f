//! What is to happen at which time.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use crate::protocol::{ListenerId, WorkerId};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A member that returned a connection may get others.
    Cooldown(ListenerId, WorkerId),
    /// What a worker reported last of its descriptors takes effect.
    Claim(WorkerId),
    /// Connections of a listener have waited for a worker to come.
    QueueTimeout(ListenerId),
    /// Parked connections of a listener have waited for their clients.
    Parked(ListenerId),
    /// It may be time to end a worker that drains.
    Drain(WorkerId),
    /// It is time to look at the event loops of workers.
    Look,
    /// It is time to look at that of one worker.
    LookAt(WorkerId),
    /// Supervision waits for a time.
    Supervision,
    /// What limited workers use is to be looked at.
    Use,
    /// What waits in the engine may have reached workers.
    Flush,
    /// All may have come that the successor is to get.
    HandOver,
    /// The stall detector looks at workers for which connections wait.
    Sweep,
    /// What could not be taken back for want of descriptors is tried again.
    Reclaim,
}

/// The next deadline of one thing, so that it asks for no more deadlines than it needs: those that it has asked
/// for stay in the queue.
#[derive(Debug, Default)]
pub(super) struct Awaited(Option<Instant>);

impl Awaited {
    /// Returns the deadline to ask for, unless one is awaited that is not later.
    pub(super) fn ask(&mut self, at: Instant) -> Option<Instant> {
        if self.0.is_some_and(|awaited| awaited <= at) {
            return None;
        }
        self.0 = Some(at);
        Some(at)
    }

    /// Whether the one that is awaited is here.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.0.take_if(|awaited| *awaited <= now).is_some()
    }
}

/// The deadlines of the core.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// What such a deadline is about may be over or put off when it is due, so that is checked then,
    /// rather than to remove the deadline before.
    queue: BinaryHeap<Reverse<(Instant, Due)>>,
    sweep: Option<Instant>,
    reclaim: Option<Instant>,
}

impl Deadlines {
    /// Adds one. Only the earliest sweep and the earliest reclaim are kept.
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        let only = match due {
            Due::Sweep => &mut self.sweep,
            Due::Reclaim => &mut self.reclaim,
            Due::Cooldown(..)
            | Due::Claim(_)
            | Due::QueueTimeout(_)
            | Due::Parked(_)
            | Due::Drain(_)
            | Due::Look
            | Due::LookAt(_)
            | Due::Supervision
            | Due::Use
            | Due::Flush
            | Due::HandOver => {
                return self.queue.push(Reverse((at, due)));
            }
        };
        *only = Some(only.map_or(at, |before| before.min(at)));
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Instant> {
        let queued = self.queue.peek().map(|Reverse((at, _))| *at);
        [queued, self.sweep, self.reclaim].into_iter().flatten().min()
    }

    /// Takes one whose time has come.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Due> {
        let is_due = |at: &mut Instant| *at <= now;
        if self.sweep.take_if(is_due).is_some() {
            return Some(Due::Sweep);
        }
        if self.reclaim.take_if(is_due).is_some() {
            return Some(Due::Reclaim);
        }
        self.queue.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.queue.pop().map(|Reverse((_, due))| due)
    }
}

//! One slot, and how often it has failed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    options::RestartLimit,
    report::{Generation, Reason},
};
use crate::protocol::WorkerId;

/// How long a worker has to be ready before the failures of its slot are forgotten.
const WELL: Duration = Duration::from_secs(30);

/// By how much a slot waits longer after each failure.
const GROWTH: f64 = 1.5;

/// What a slot waits for before it gets a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// It has failed, and is tried again at this time.
    Until(Instant),
    /// It has failed too often, and waits for a reload or a restart.
    Failed,
}

/// A place for one worker.
#[derive(Debug)]
pub(super) struct Slot {
    /// Which generation its next worker is of.
    pub(super) wanted: Generation,
    /// The worker that is ready.
    pub(super) serving: Option<WorkerId>,
    /// The worker that is started for it.
    pub(super) coming: Option<WorkerId>,
    /// A worker that is stuck, and gets killed when the next one is ready, or can't be started.
    pub(super) hung: Option<WorkerId>,
    /// Its last worker that was ready.
    pub(super) last: Option<WorkerId>,
    /// Why its next worker is started, if it is empty.
    pub(super) emptied: Reason,
    /// Why its worker is to be replaced, though it is of the wanted generation.
    pub(super) renew: Option<Reason>,
    pub(super) rest: Rest,
    pub(super) failures: Failures,
    /// How many workers were started for it after the first.
    pub(super) restarts: u32,
    /// Whether it had no worker when the reload began.
    pub(super) was_empty: bool,
}

impl Slot {
    pub(super) fn new(wanted: Generation, emptied: Reason) -> Self {
        Self {
            wanted,
            serving: None,
            coming: None,
            hung: None,
            last: None,
            emptied,
            renew: None,
            rest: Rest::Nothing,
            failures: Failures::default(),
            restarts: 0,
            was_empty: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.serving.is_none() && self.coming.is_none()
    }

    /// Its failures do not count any longer.
    pub(super) fn forgive(&mut self) {
        self.failures = Failures::default();
        self.rest = Rest::Nothing;
    }

    /// Wants a worker of this generation, which has not failed yet.
    pub(super) fn want(&mut self, generation: Generation) {
        if self.wanted != generation {
            self.wanted = generation;
            self.forgive();
        }
    }
}

/// How often a slot has failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Since a worker was well.
    pub(super) count: u32,
    /// When, of those that the limit may be about.
    times: VecDeque<Instant>,
}

impl Failures {
    /// Counts one more, of a worker that was ready since then.
    pub(super) fn add(&mut self, ready_since: Option<Instant>, now: Instant) {
        if ready_since.is_some_and(|since| now.duration_since(since) >= WELL) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.times.push_back(now);
    }

    /// How long to wait after them.
    pub(super) fn delay(&self, first: Duration, longest: Duration) -> Duration {
        // Far beyond the longest delay.
        let exponent = self.count.saturating_sub(1).min(100).cast_signed();
        let delay = first.as_secs_f64() * GROWTH.powi(exponent);
        Duration::from_secs_f64(delay.min(longest.as_secs_f64()))
    }

    /// Whether there were too many.
    pub(super) fn exceed(&mut self, limit: Option<RestartLimit>, now: Instant) -> bool {
        let Some(RestartLimit { count, within }) = limit else {
            self.times.clear();
            return false;
        };
        let Some(within) = within else {
            self.times.clear();
            return self.count > count;
        };
        while self.times.front().is_some_and(|at| now.duration_since(*at) > within) {
            self.times.pop_front();
        }
        self.times.len() > count as usize
    }
}

//! What is known of a worker for which connections wait.

use std::time::Instant;

use super::suspicion::Suspicion;

/// When a worker, for which connections wait, took one last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// How many it had taken: by the kernel, or by its own count when connections begin to wait for it. Then, since
    /// when it is believed without asking the kernel again.
    pub(super) taken: u64,
    pub(super) believed: Instant,
    /// When the kernel was asked last.
    pub(super) asked: Instant,
    /// How many it had counted, and when it had counted more.
    pub(super) counted: Option<u64>,
    pub(super) since: Instant,
    pub(super) suspicion: Option<Suspicion>,
}

impl Progress {
    pub(super) fn new(taken: u64, counted: Option<u64>, now: Instant) -> Self {
        Self { taken, believed: now, asked: now, counted, since: now, suspicion: None }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.suspicion.is_some_and(|suspicion| suspicion.confirmed)
    }
}

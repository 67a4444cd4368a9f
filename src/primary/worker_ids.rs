use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::protocol::WorkerId;

/// Gives out the ids of workers, from 1 on, to any thread.
#[derive(Debug, Clone, Default)]
pub struct WorkerIds(Arc<AtomicU32>);

impl WorkerIds {
    /// The next one.
    pub fn next(&self) -> WorkerId {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

//! The ids of workers, which JavaScript and the engine's thread give out.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::protocol::WorkerId;

/// Where ids come from: 1, 2, 3, …. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct WorkerIds(Arc<AtomicU32>);

impl WorkerIds {
    /// An id that no other worker of the primary has, or had.
    pub fn next(&self) -> WorkerId {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

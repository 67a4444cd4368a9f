//! What differs on macOS, under the same names as in `linux`.
//!
//! Comments on the kernel's behavior name the function in its source (XNU).

pub(super) mod children;
pub(super) mod exit;
pub(super) mod lane;
pub(super) mod listen;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod message;
pub(super) mod orphans;
pub(super) mod pipe;
mod queue;
pub(super) mod readiness_set;
pub(super) mod socket;
pub(super) mod socket_file;
pub(super) mod spawn;
pub(super) mod thread;
pub(super) mod transit;
pub(super) mod unread;
pub(super) mod usage;
pub(super) mod watched;

/// Does nothing: macOS has no such scheduling class.
#[derive(Debug)]
pub struct BatchScheduling(());

impl BatchScheduling {
    /// That of the calling thread.
    pub fn of_this_thread() -> Self {
        Self(())
    }

    /// Does nothing.
    pub fn set(&self, _is_on: bool) {}
}

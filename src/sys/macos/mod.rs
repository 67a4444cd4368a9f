//! What macOS has in place of what is in `linux`, under the same names.
//!
//! Where the kernel's own ways matter, they are named by the function of its source (XNU) that has them.

pub(super) mod exit;
pub(super) mod lane;
pub(super) mod listen;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod message;
mod queue;
pub(super) mod socket;
pub(super) mod socket_file;
pub(super) mod spawn;
pub(super) mod thread;
pub(super) mod transit;
pub(super) mod watched;

/// Nothing: which thread interrupts which, the kernel decides by itself.
pub fn use_batch_scheduling() {}

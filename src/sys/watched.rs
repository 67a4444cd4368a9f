//! Descriptors that the engine's runtime waits on, and how system calls for that are called.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    rc::Rc,
    sync::Arc,
};

use tokio::io::{Interest, unix::AsyncFd};

pub use super::platform::watched::{ADD_WATCH, NEW_WATCH};
use super::{exit::Process, listen::Bound};

mod sealed {
    /// Types that own one descriptor from beginning to end, and always name that one.
    pub trait OwnsDescriptor: std::os::fd::AsRawFd {}
}

impl sealed::OwnsDescriptor for OwnedFd {}
impl sealed::OwnsDescriptor for Arc<Process> {}
impl sealed::OwnsDescriptor for Rc<Bound> {}

/// Waits on what `inner` owns. To be called on the engine's runtime.
///
/// # Errors
/// When the kernel has no memory for another watch.
pub fn watch<T: sealed::OwnsDescriptor + AsRawFd>(
    inner: T,
    interest: Interest,
) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor stays open and the same as long as `inner` lives; see the trait.
    Ok(unsafe { AsyncFd::register_with_interest(inner, interest) }?)
}

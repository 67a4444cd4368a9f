//! Descriptors that the engine's runtime waits on.

use std::{io, os::fd::OwnedFd, rc::Rc, sync::Arc};

use tokio::io::{Interest, unix::AsyncFd};

pub use super::platform::watched::{ADD_WATCH, NEW_WATCH};
use super::{
    exit::Process,
    failure::{Call, Failure, injected},
    listen::Bound,
    readiness_set::ReadinessSet,
};

mod sealed {
    /// Types that own one descriptor for all of their life, and always return that one.
    pub trait OwnsDescriptor: std::os::fd::AsRawFd {}
}

/// Types that the engine can wait on.
pub trait Watchable: sealed::OwnsDescriptor {}

impl<T: sealed::OwnsDescriptor> Watchable for T {}

impl sealed::OwnsDescriptor for OwnedFd {}
impl sealed::OwnsDescriptor for Rc<OwnedFd> {}
impl sealed::OwnsDescriptor for Arc<Process> {}
impl sealed::OwnsDescriptor for Rc<Bound> {}
impl sealed::OwnsDescriptor for Rc<ReadinessSet> {}

/// Registers the descriptor of `inner`, which is returned on failure. Call this on the engine's
/// runtime.
///
/// # Errors
/// [`Failure::Shortage`] when the kernel has no memory for another watch.
pub fn watch<T: Watchable>(inner: T, interest: Interest) -> Result<AsyncFd<T>, (T, Failure)> {
    if let Some(failure) = injected(Call::Watch) {
        return Err((inner, failure));
    }
    // SAFETY: the descriptor stays open and the same as long as `inner` lives; see the trait.
    let registered = unsafe { AsyncFd::register_with_interest(inner, interest) };
    registered.map_err(|error| {
        let (inner, cause) = error.into_parts();
        (inner, Failure::of(Call::Watch, cause.raw_os_error().unwrap_or(libc::EIO)))
    })
}

/// Makes a call on a watched descriptor once it is ready, and again each time it would block.
///
/// # Errors
/// As `call`, and never [`Failure::WouldBlock`].
pub async fn when_ready<T: Watchable, R>(
    watched: &AsyncFd<T>,
    interest: Interest,
    mut call: impl FnMut(&T) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let done = watched.async_io(interest, |fd| match call(fd) {
        Err(Failure::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        done => Ok(done),
    });
    // Fails only when the runtime ends.
    done.await.unwrap_or(Err(Failure::Gone))
}

/// Shows the runtime that a watched descriptor is not ready: the caller has made a call on it by itself, which would have
/// blocked. Until then the runtime believes the descriptor ready.
pub fn show_blocked<T: Watchable>(watched: &AsyncFd<T>, interest: Interest) {
    let _ = try_ready(watched, interest, |_| Err::<(), _>(Failure::WouldBlock));
}

/// Makes a call on a watched descriptor, once, if it is ready.
///
/// # Errors
/// As `call`; after [`Failure::WouldBlock`] the descriptor is no longer ready.
pub fn try_ready<T: Watchable, R>(
    watched: &AsyncFd<T>,
    interest: Interest,
    call: impl FnOnce(&T) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let done = watched.try_io(interest, |watched| match call(watched) {
        Err(Failure::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        done => Ok(done),
    });
    done.unwrap_or(Err(Failure::WouldBlock))
}

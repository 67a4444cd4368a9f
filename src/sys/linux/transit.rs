use std::os::fd::BorrowedFd;

/// Descriptors in flight, which the kernel keeps open by itself.
#[derive(Debug, Default)]
pub struct Transit(());

impl Transit {
    /// Keeps a duplicate of a descriptor that was just sent on the lane.
    pub fn keep(&self, _: BorrowedFd<'_>) {}

    /// Closes what has been received. `waiting` returns how many packets are still in the lane.
    pub fn release_received(&self, _waiting: impl FnOnce() -> usize) {}
}

/// Keeps a descriptor open that was sent on a lane whose waiting packets are not counted.
pub(in crate::sys) fn keep_until_received(_: BorrowedFd<'_>, _: Option<BorrowedFd<'_>>) {}

use std::{ffi::c_int, os::fd::RawFd};

/// Besides those for signals: none.
pub(in crate::sys) const FLAGS: c_int = 0;

/// Leaves a descriptor of the parent to the child, at the same number.
///
/// # Safety
/// `actions` is initialised.
pub(in crate::sys) unsafe fn inherit(
    actions: *mut libc::posix_spawn_file_actions_t,
    fd: RawFd,
) -> c_int {
    // SAFETY: promised by the caller. This clears close-on-exec in the child.
    unsafe { libc::posix_spawn_file_actions_adddup2(actions, fd, fd) }
}

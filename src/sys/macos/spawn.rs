use std::{ffi::c_int, os::fd::RawFd};

/// The child gets what it is given, and nothing that another thread has just opened and not yet made
/// close-on-exec.
pub(in crate::sys) const FLAGS: c_int = libc::POSIX_SPAWN_CLOEXEC_DEFAULT;

unsafe extern "C" {
    fn posix_spawn_file_actions_addinherit_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: c_int,
    ) -> c_int;
}

/// Leaves a descriptor of the parent to the child, at the same number.
///
/// # Safety
/// `actions` is initialised.
pub(in crate::sys) unsafe fn inherit(
    actions: *mut libc::posix_spawn_file_actions_t,
    fd: RawFd,
) -> c_int {
    // SAFETY: promised by the caller. A duplicate onto itself would stay close-on-exec.
    unsafe { posix_spawn_file_actions_addinherit_np(actions, fd) }
}

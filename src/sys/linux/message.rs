use std::os::fd::{OwnedFd, RawFd};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, cmsg_space},
};

/// No signal for writing to a process that is gone, and no blocking, whatever flags a process that
/// shares the open file has set on it.
pub(in crate::sys) const SEND: MsgFlags = MsgFlags::MSG_NOSIGNAL.union(MsgFlags::MSG_DONTWAIT);

/// Descriptors are close-on-exec from the start. No blocking, as with [`SEND`].
pub(in crate::sys) const RECEIVE: MsgFlags =
    MsgFlags::MSG_CMSG_CLOEXEC.union(MsgFlags::MSG_DONTWAIT);

/// Room for one descriptor; the kernel closes further ones.
pub(in crate::sys) const SPACE: usize = cmsg_space::<RawFd>();

/// The kind of control message that carries a descriptor of the sender's process (`SO_PASSPIDFD`).
pub(in crate::sys) const SCM_PIDFD: Option<libc::c_int> = Some(4);

/// The kernel's error is exact.
pub(in crate::sys) fn as_full(errno: Errno) -> Errno {
    errno
}

/// The kernel reports a lost descriptor by a flag, not by an error.
pub(in crate::sys) fn has_lost_descriptor(_: Errno) -> bool {
    false
}

/// It is close-on-exec already.
pub(in crate::sys) fn arrived(descriptor: OwnedFd) -> Option<OwnedFd> {
    Some(descriptor)
}

use std::os::fd::{OwnedFd, RawFd};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, cmsg_space},
};

use crate::sys::descriptor::close_on_exec;

/// That nobody is killed for writing to a process that is gone, is a setting of the socket here. No call
/// waits, whatever flags a peer that shares the open file has set on it.
pub(in crate::sys) const SEND: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// There is no flag for what is to become of descriptors; see [`arrived`]. No call waits, as with
/// [`SEND`].
pub(in crate::sys) const RECEIVE: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// Room for as many descriptors as there can be. Those that a receiver has no room for, the kernel leaves
/// open.
pub(in crate::sys) const SPACE: usize = cmsg_space::<[RawFd; 512]>();

/// The kernel makes no descriptors but those that a message carries.
pub(in crate::sys) const SCM_PIDFD: Option<libc::c_int> = None;

/// A stream that has no room for as much as a descriptor says that this is too long (`sosendcheck`).
pub(in crate::sys) fn as_full(errno: Errno) -> Errno {
    if errno == Errno::EMSGSIZE { Errno::EAGAIN } else { errno }
}

/// Whether the next call will get the bytes of a descriptor which this process had no number for
/// (`unp_externalize`).
pub(in crate::sys) fn has_lost_descriptor(errno: Errno) -> bool {
    [Errno::EMSGSIZE, Errno::EMFILE, Errno::ENFILE].contains(&errno)
}

/// Makes it close-on-exec. A process that is started this very moment does not inherit it for all that:
/// see `spawn`.
pub(in crate::sys) fn arrived(descriptor: OwnedFd) -> Option<OwnedFd> {
    close_on_exec(&descriptor).ok()?;
    Some(descriptor)
}

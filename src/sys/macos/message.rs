use std::os::fd::{OwnedFd, RawFd};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, cmsg_space},
};

use crate::sys::descriptor::close_on_exec;

/// No blocking, whatever flags a process that shares the open file has set on it. The option
/// `NoSigpipe` of the socket replaces Linux's flag against `SIGPIPE`.
pub(in crate::sys) const SEND: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// No blocking, as with [`SEND`]. There is no flag for close-on-exec; see [`arrived`].
pub(in crate::sys) const RECEIVE: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// Room for as many descriptors as a message can have, because the kernel leaves those open for which
/// there is no room.
pub(in crate::sys) const SPACE: usize = cmsg_space::<[RawFd; 512]>();

/// The kernel makes no other descriptors than those that a message carries.
pub(in crate::sys) const SCM_PIDFD: Option<libc::c_int> = None;

/// A stream without room for a descriptor reports that the message is too long (`sosendcheck`).
pub(in crate::sys) fn as_full(errno: Errno) -> Errno {
    if errno == Errno::EMSGSIZE { Errno::EAGAIN } else { errno }
}

/// Whether the next call will get the bytes of a descriptor which this process had no number for
/// (`unp_externalize`).
pub(in crate::sys) fn has_lost_descriptor(errno: Errno) -> bool {
    [Errno::EMSGSIZE, Errno::EMFILE, Errno::ENFILE].contains(&errno)
}

/// Sets close-on-exec. A process that is started at this moment does not inherit it anyway: see
/// `spawn`.
pub(in crate::sys) fn arrived(descriptor: OwnedFd) -> Option<OwnedFd> {
    close_on_exec(&descriptor).ok()?;
    Some(descriptor)
}

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};

/// Four times what a pipe holds otherwise. All pipes of a user together may hold 64 MiB; beyond that the kernel
/// gives each new one hardly anything.
const CAPACITY: i32 = 256 * 1024;

/// Lets a pipe hold more, as far as the kernel permits.
pub(in crate::sys) fn enlarge(pipe: impl AsFd) {
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(CAPACITY));
}

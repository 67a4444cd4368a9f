use std::{
    ffi::c_short,
    io,
    mem::{MaybeUninit, offset_of},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
};

use nix::sys::socket::{
    AddressFamily, SockaddrLike, SockaddrStorage, UnixAddr, getsockname, getsockopt,
    sockopt::{LocalPeerPid, SetBool},
};

use crate::sys::descriptor::{close_on_exec, set_nonblocking};

/// Makes a write to a peer that is gone an error without a signal: an option that `nix` does not have.
#[derive(Clone, Copy)]
pub(super) struct NoSigpipe;

nix::setsockopt_impl!(NoSigpipe, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, bool, SetBool);

/// The family of a socket's addresses; `None` for one that `nix` does not name.
pub(in crate::sys) fn family(socket: BorrowedFd<'_>) -> io::Result<Option<AddressFamily>> {
    Ok(getsockname::<SockaddrStorage>(socket.as_raw_fd())?.family())
}

/// Abstract names exist only on Linux.
pub(in crate::sys) fn abstract_name_of(_: &UnixAddr) -> Option<&[u8]> {
    None
}

/// Whether this is the name of a socket without a name, which the kernel reports as zeros
/// (`sun_noname`).
pub(in crate::sys) fn is_unnamed(name: &UnixAddr) -> bool {
    let path = name.path().map(|path| path.as_os_str().as_bytes());
    path.and_then(<[u8]>::first).is_none_or(|&byte| byte == 0)
}

/// The result of `proc_pidfdinfo` for a socket: `struct socket_fdinfo` of `sys/proc_info.h`, as far as
/// it is needed here.
#[repr(C)]
struct Info {
    /// The open file, and the file's status.
    file: [u64; 20],
    /// Addresses in the kernel.
    addresses: [u64; 2],
    /// Type, protocol, family.
    kind: [i32; 3],
    options: c_short,
    rest: [MaybeUninit<u8>; 602],
}

const _: () = assert!(size_of::<Info>() == 792 && offset_of!(Info, options) == 188);

const PROC_PIDFDSOCKETINFO: libc::c_int = 3;
const SO_ACCEPTCONN: c_short = 2;

/// Whether a socket accepts connections. macOS does not report this as an option of the socket
/// (`sogetoptlock`).
pub(in crate::sys) fn is_listening(socket: BorrowedFd<'_>) -> bool {
    let mut info = MaybeUninit::<Info>::zeroed();
    let size = size_of::<Info>() as libc::c_int;
    // SAFETY: of this process, and the kernel writes no more than `size` bytes.
    let written = unsafe {
        libc::proc_pidfdinfo(
            libc::getpid(),
            socket.as_raw_fd(),
            PROC_PIDFDSOCKETINFO,
            info.as_mut_ptr().cast(),
            size,
        )
    };
    // SAFETY: plain numbers, for which zeros do.
    let info = unsafe { info.assume_init() };
    written == size && info.options & SO_ACCEPTCONN != 0
}

/// Makes a new descriptor nonblocking and close-on-exec, as it is from the start on Linux. A process
/// that is started meanwhile does not inherit it anyway: see `spawn`.
pub(super) fn set_close_on_exec_and_nonblocking(socket: impl AsFd) -> io::Result<()> {
    close_on_exec(&socket)?;
    Ok(set_nonblocking(&socket, true)?)
}

/// The process that listens at the other end of a connected Unix socket.
pub(in crate::sys) fn pid_of_peer(socket: impl AsFd) -> Option<i32> {
    getsockopt(&socket, LocalPeerPid).ok().filter(|pid| *pid > 0)
}

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, UnixAddr, setsockopt,
        sockopt::{ReuseAddr, ReusePort},
    },
};

use super::socket::{NoSigpipe, set_close_on_exec_and_nonblocking};

/// Whether the kernel spreads connections over sockets that share a port. On macOS the last of them
/// gets all.
pub const SPREADS_CONNECTIONS: bool = false;

pub(in crate::sys) fn socket(family: AddressFamily, kind: SockType) -> io::Result<OwnedFd> {
    let socket = nix::sys::socket::socket(family, kind, SockFlag::empty(), None)?;
    set_close_on_exec_and_nonblocking(&socket)?;
    // As libuv does for each of its sockets.
    setsockopt(&socket, NoSigpipe, &true)?;
    Ok(socket)
}

pub(in crate::sys) fn accept(listening: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let connection = nix::sys::socket::accept(listening)?;
    // Fails only for a connection that has already ended.
    set_close_on_exec_and_nonblocking(&connection).map_err(|_| Errno::ECONNABORTED)?;
    Ok(connection)
}

/// Lets a socket bind an address that another socket has had recently; for datagrams, one that another
/// socket has now, which takes the other option on macOS, as in libuv (`uv__udp_bind`).
pub(in crate::sys) fn reuse_address(socket: impl AsFd, kind: SockType) -> io::Result<()> {
    match kind {
        SockType::Datagram => Ok(setsockopt(&socket, ReusePort, &true)?),
        _ => Ok(setsockopt(&socket, ReuseAddr, &true)?),
    }
}

/// libuv refuses this on macOS, because the kernel does not distribute connections.
pub(in crate::sys) fn reuse_port(_: impl AsFd) -> io::Result<()> {
    Err(Errno::ENOTSUP.into())
}

/// Abstract addresses exist only on Linux.
pub(in crate::sys) fn abstract_name(_: &[u8]) -> io::Result<UnixAddr> {
    Err(Errno::EINVAL.into())
}

/// The kernel reports only whether any connections wait.
pub(in crate::sys) fn backlog(listening: RawFd) -> usize {
    let mut polled = libc::pollfd { fd: listening, events: libc::POLLIN, revents: 0 };
    // By `libc`, because `nix` takes only descriptors that are known to be open.
    // SAFETY: one structure that lives. A number of no socket is told in it.
    let found = unsafe { libc::poll(&raw mut polled, 1, 0) };
    usize::from(found == 1 && polled.revents & libc::POLLIN != 0)
}

/// The kernel does not report it.
pub(in crate::sys) fn backlog_limit(_: RawFd) -> Option<u32> {
    None
}

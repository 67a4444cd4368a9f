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

/// Whether the kernel spreads connections over sockets that share a port. Here the last of them gets
/// all.
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
    // It fails only for a connection that has ended already.
    set_close_on_exec_and_nonblocking(&connection).map_err(|_| Errno::ECONNABORTED)?;
    Ok(connection)
}

/// Lets a socket have an address that another one has had, or for datagrams: has. For these it takes
/// the other option here, as libuv knows (`uv__udp_bind`).
pub(in crate::sys) fn reuse_address(socket: impl AsFd, kind: SockType) -> io::Result<()> {
    match kind {
        SockType::Datagram => Ok(setsockopt(&socket, ReusePort, &true)?),
        _ => Ok(setsockopt(&socket, ReuseAddr, &true)?),
    }
}

/// Nothing is spread here, so libuv refuses it.
pub(in crate::sys) fn reuse_port(_: impl AsFd) -> io::Result<()> {
    Err(Errno::ENOTSUP.into())
}

/// An address that is no file, which there is only on Linux.
pub(in crate::sys) fn abstract_name(_: &[u8]) -> io::Result<UnixAddr> {
    Err(Errno::EINVAL.into())
}

/// The kernel tells no more than whether some wait.
pub(in crate::sys) fn backlog(listening: RawFd) -> usize {
    let mut polled = libc::pollfd { fd: listening, events: libc::POLLIN, revents: 0 };
    // By `libc`, because `nix` takes only descriptors that are known to be open.
    // SAFETY: one structure that lives. A number of no socket is told in it.
    let found = unsafe { libc::poll(&raw mut polled, 1, 0) };
    usize::from(found == 1 && polled.revents & libc::POLLIN != 0)
}

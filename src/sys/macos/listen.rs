use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketType, sockopt},
};

use super::socket::disown;

/// Whether the kernel spreads connections over sockets that share a port. Here the last of them gets
/// all.
pub const SPREADS_CONNECTIONS: bool = false;

pub(in crate::sys) fn socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, kind, None)?;
    disown(&socket)?;
    // As libuv does for each of its sockets.
    sockopt::set_socket_nosigpipe(&socket, true)?;
    Ok(socket)
}

pub(in crate::sys) fn accept(listening: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let connection = rustix::net::accept(listening)?;
    // It fails only for a connection that has ended already.
    disown(&connection).map_err(|_| Errno::CONNABORTED)?;
    Ok(connection)
}

/// Lets a socket have an address that another one has had, or for datagrams: has. For these it takes
/// the other option here, as libuv knows (`uv__udp_bind`).
pub(in crate::sys) fn reuse_address(socket: impl AsFd, kind: SocketType) -> io::Result<()> {
    match kind {
        SocketType::DGRAM => Ok(sockopt::set_socket_reuseport(socket, true)?),
        _ => Ok(sockopt::set_socket_reuseaddr(socket, true)?),
    }
}

/// Nothing is spread here, so libuv refuses it.
pub(in crate::sys) fn reuse_port(_: impl AsFd) -> io::Result<()> {
    Err(Errno::NOTSUP.into())
}

/// An address that is no file, which there is only on Linux.
pub(in crate::sys) fn abstract_name(_: &[u8]) -> io::Result<SocketAddrUnix> {
    Err(Errno::INVAL.into())
}

/// The kernel tells no more than whether some wait.
pub(in crate::sys) fn backlog(listening: RawFd) -> usize {
    let mut polled = libc::pollfd { fd: listening, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure that lives. A number of no socket is told in it.
    let found = unsafe { libc::poll(&raw mut polled, 1, 0) };
    usize::from(found == 1 && polled.revents & libc::POLLIN != 0)
}

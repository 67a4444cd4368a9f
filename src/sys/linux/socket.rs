use std::{io, os::fd::BorrowedFd};

use rustix::net::{AddressFamily, sockopt};

/// The family of a socket's addresses.
pub(in crate::sys) fn family(socket: BorrowedFd<'_>) -> io::Result<AddressFamily> {
    Ok(sockopt::socket_domain(socket)?)
}

/// Whether a socket accepts connections.
pub(in crate::sys) fn is_listening(socket: BorrowedFd<'_>) -> bool {
    sockopt::socket_acceptconn(socket).unwrap_or(false)
}

//! Connections accepted, and where a connection comes from.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{SockaddrLike, SockaddrStorage, getpeername, setsockopt, sockopt},
};

use super::{
    address::{internet_address, name_of},
    call::Call,
    descriptor::set_nonblocking,
    failure::{Failure, attempt},
    platform::listen as platform,
    socket::{Nature, nature},
};

/// Accepts one connection of a socket that other processes have too, and may have made blocking. This
/// call blocks only if another process takes the waiting connection between the look and the accept; it
/// then waits for the next one.
///
/// # Errors
/// As [`accept`]; also [`Failure::Shortage`] when the kernel has too little memory for the look.
pub fn accept_shared(listening: impl AsFd) -> Result<Option<OwnedFd>, Failure> {
    // Fails only if this is not a socket.
    let _ = set_nonblocking(&listening, true);
    let mut polled = [PollFd::new(listening.as_fd(), PollFlags::POLLIN)];
    if attempt(Call::Poll, || poll(&mut polled, PollTimeout::ZERO))? == 0 {
        return Err(Failure::WouldBlock);
    }
    let accepted = accept(listening);
    if let Ok(Some(connection)) = &accepted {
        // The connection has inherited the options of the listening socket.
        let _ = reset_options(connection);
    }
    accepted
}

/// Accepts one connection of a listening socket; the connection does not block. `None` means that a
/// connection was dropped, and others may wait: its client has gone meanwhile, a firewall forbids it,
/// or the network has failed.
///
/// # Errors
/// [`Failure::WouldBlock`] when no connection waits; [`Failure::Shortage`] when this process has no
/// descriptor left, in which case the connection stays in the backlog.
pub fn accept(listening: impl AsFd) -> Result<Option<OwnedFd>, Failure> {
    match attempt(Call::Accept, || platform::accept(listening.as_fd())) {
        Err(Failure::Fault(fault)) if OF_CONNECTION.contains(&fault.errno) => Ok(None),
        accepted => accepted.map(Some),
    }
}

/// The errors of `accept(2)` that concern only the connection, not the listening socket.
const OF_CONNECTION: [i32; 9] = [
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::EPERM,
    libc::ENETDOWN,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::ETIMEDOUT,
];

/// Where a descriptor comes from that a worker returns as a connection of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A connection of that listener, as far as the kernel can tell.
    Listener,
    /// It was a connection of that listener, but its client has reset it.
    Ended,
    /// Something else.
    Elsewhere,
}

/// What a listening socket has in common with the connections that are accepted from it.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    is_tcp: bool,
    name: SockaddrStorage,
}

/// The endpoint of a listening socket, for comparisons after the socket may have been closed. `None`
/// for another kind of socket.
pub fn endpoint(listening: impl AsFd) -> Option<Endpoint> {
    let is_tcp = match nature(&listening)? {
        Nature::Tcp { listening: true } => true,
        Nature::Pipe { listening: true } => false,
        _ => return None,
    };
    Some(Endpoint { is_tcp, name: name_of(&listening).ok()? })
}

/// Whether `connection` comes from a listening socket. Without `has_its_address`, which a transparent
/// proxy's connections lack, only the kind is compared.
pub fn origin(connection: impl AsFd, listening: &Endpoint, has_its_address: bool) -> Origin {
    let is_of_kind = match nature(&connection) {
        Some(Nature::Tcp { listening: false }) => listening.is_tcp,
        Some(Nature::Pipe { listening: false }) => !listening.is_tcp,
        _ => false,
    };
    let Ok(own) = name_of(&connection) else {
        return Origin::Elsewhere;
    };
    let theirs = &listening.name;
    let is_of_family = own.family() == theirs.family();
    let has_address = match (internet_address(&own), internet_address(theirs)) {
        // The listening socket may be bound to all addresses.
        (Some(own), Some(theirs)) => !has_its_address || own.port() == theirs.port(),
        _ => own == *theirs,
    };
    match is_connected(&connection) {
        _ if !(is_of_kind && is_of_family && has_address) => Origin::Elsewhere,
        true => Origin::Listener,
        false => Origin::Ended,
    }
}

/// Resets options that another process may have set on a connection: afterwards reads and writes do not
/// block, and closing it does not reset it.
///
/// # Errors
/// `ENOTSOCK`, `EBADF`.
pub fn reset_options(connection: impl AsFd) -> io::Result<()> {
    set_nonblocking(&connection, true)?;
    let closes_at_once = libc::linger { l_onoff: 0, l_linger: 0 };
    Ok(setsockopt(&connection, sockopt::Linger, &closes_at_once)?)
}

/// Whether a socket has a peer.
pub(super) fn is_connected(socket: impl AsFd) -> bool {
    getpeername::<SockaddrStorage>(socket.as_fd().as_raw_fd()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{
        failure::Fault,
        inject::{FAULTS, SHORTAGES, fail_here},
    };

    #[test]
    fn a_look_that_fails_does_not_tell_that_nothing_waits() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fault = |errno| Fault { call: Call::Poll, errno };
        for errno in SHORTAGES.into_iter().chain([libc::EAGAIN]) {
            fail_here(Call::Poll, errno, 1);
            assert_eq!(accept_shared(&listener).unwrap_err(), Failure::Shortage(fault(errno)));
        }
        for errno in FAULTS {
            fail_here(Call::Poll, errno, 1);
            assert_eq!(accept_shared(&listener).unwrap_err(), Failure::Fault(fault(errno)));
        }
        assert!(accept_shared(&listener).unwrap().is_some());
        assert_eq!(accept_shared(&listener).unwrap_err(), Failure::WouldBlock);
    }
}

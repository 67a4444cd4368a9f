use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::sys::socket::{
    AddressFamily, UnixAddr, getsockopt,
    sockopt::{AcceptConn, GetStruct, PeerCredentials},
};

/// The family of a socket's addresses, an option that `nix` does not have.
#[derive(Clone, Copy)]
struct Domain;

nix::getsockopt_impl!(
    Domain,
    libc::SOL_SOCKET,
    libc::SO_DOMAIN,
    libc::c_int,
    GetStruct<libc::c_int>
);

/// The family of a socket's addresses; `None` for one that `nix` does not name.
pub(in crate::sys) fn family(socket: BorrowedFd<'_>) -> io::Result<Option<AddressFamily>> {
    Ok(AddressFamily::from_i32(getsockopt(&socket, Domain)?))
}

/// Whether a socket accepts connections.
pub(in crate::sys) fn is_listening(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, AcceptConn).unwrap_or(false)
}

/// Whether this is the name of a socket without a name.
pub(in crate::sys) fn is_unnamed(name: &UnixAddr) -> bool {
    name.is_unnamed()
}

/// The abstract name of a socket, which has no file.
pub(in crate::sys) fn abstract_name_of(name: &UnixAddr) -> Option<&[u8]> {
    name.as_abstract()
}

/// The process that listens at the other end of a connected Unix socket, as far as it is visible from here.
pub(in crate::sys) fn pid_of_peer(socket: impl AsFd) -> Option<i32> {
    getsockopt(&socket, PeerCredentials).ok().map(|it| it.pid()).filter(|pid| *pid > 0)
}

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, accept4, setsockopt, sockopt};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Whether the kernel spreads connections over sockets that share a port.
pub const SPREADS_CONNECTIONS: bool = true;

pub(in crate::sys) fn socket(family: AddressFamily, kind: SockType) -> io::Result<OwnedFd> {
    Ok(nix::sys::socket::socket(family, kind, FLAGS, None)?)
}

pub(in crate::sys) fn accept(listening: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    accept4(listening, FLAGS)
}

/// Lets a socket bind an address that another socket has had recently; for datagrams, one that another
/// socket has now.
pub(in crate::sys) fn reuse_address(socket: impl AsFd, _: SockType) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::ReuseAddr, &true)?)
}

/// Makes the kernel distribute connections over all sockets with this option.
pub(in crate::sys) fn reuse_port(socket: impl AsFd) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::ReusePort, &true)?)
}

/// An abstract address, which has no file.
pub(in crate::sys) fn abstract_name(name: &[u8]) -> io::Result<UnixAddr> {
    Ok(UnixAddr::new_abstract(name)?)
}

pub(in crate::sys) fn backlog(listening: RawFd) -> usize {
    // For a listening socket this is the length of its backlog.
    tcp_info(listening).map_or(0, |info| info.tcpi_unacked as usize)
}

/// How many connections the kernel queues at a TCP socket.
pub(in crate::sys) fn backlog_limit(listening: RawFd) -> Option<u32> {
    // For a listening socket this is the limit of its backlog.
    tcp_info(listening).map(|info| info.tcpi_sacked)
}

/// What the kernel says of a TCP socket.
fn tcp_info(listening: RawFd) -> Option<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // By `libc`, because `nix` takes only descriptors that are known to be open.
    // SAFETY: the kernel writes no more than `length` bytes. A number of no socket is an error.
    let result = unsafe {
        libc::getsockopt(
            listening,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    // SAFETY: plain numbers, for which zeros do.
    (result == 0).then(|| unsafe { info.assume_init() })
}

//! Binds addresses as libuv binds them, and listens on them.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Shutdown, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, getsockopt,
        setsockopt, shutdown, sockopt,
    },
};

use super::{
    accept::is_connected,
    address::{internet_address, name_of, parse_address, text_of},
    descriptor::{duplicate, set_nonblocking},
    platform::{listen as platform, socket as platform_socket},
    socket::{Nature, nature},
    socket_file::SocketFile,
};
pub use super::{
    accept::{Endpoint, Origin, accept, accept_shared, endpoint, origin, reset_options},
    platform::listen::SPREADS_CONNECTIONS,
};
use crate::protocol::control::{BoundAddress, Query, Target};

/// The backlog of a server that names none: Node's default.
const DEFAULT_BACKLOG: u32 = 511;

/// A bound socket, with the file that is removed when it closes.
#[derive(Debug)]
pub struct Bound {
    /// The socket; it does not block.
    pub socket: OwnedFd,
    file: RefCell<Option<SocketFile>>,
    keeper: RefCell<Option<Keeper>>,
}

/// What keeps a socket open in addition to the engine, and decides when its address is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// The service manager, which has bound it.
    ServiceManager,
    /// The program, which has opened it in this process.
    Program,
    /// Another primary: until this one takes its place, or since it has taken the place of this one.
    OtherPrimary {
        /// The file to remove once this process decides.
        file: Option<String>,
    },
}

impl Bound {
    fn new(socket: OwnedFd, file: Option<SocketFile>) -> Self {
        Self { socket, file: RefCell::new(file), keeper: RefCell::new(None) }
    }

    /// A socket that was bound elsewhere. This process decides about it if it has no `keeper`, and then removes
    /// the `file` when it closes.
    ///
    /// # Errors
    /// When its mode can't be changed.
    pub fn adopt(socket: OwnedFd, keeper: Option<Keeper>, file: Option<&str>) -> io::Result<Self> {
        set_nonblocking(&socket, true)?;
        let file = file.and_then(SocketFile::find);
        Ok(Self { keeper: RefCell::new(keeper), ..Self::new(socket, file) })
    }

    /// The same socket, whose file is removed now.
    #[must_use]
    pub fn without_file(self) -> Self {
        self.file.take();
        self
    }

    /// Whether its file is removed when it closes.
    pub fn has_file(&self) -> bool {
        self.file.borrow().is_some()
    }

    /// What else keeps it, and decides when its address is closed; `None` where this process does.
    pub fn keeper(&self) -> Option<Keeper> {
        self.keeper.borrow().clone()
    }

    /// This process decides about it from now on, if another primary has until now.
    pub fn own(&self) {
        let mut keeper = self.keeper.borrow_mut();
        if let Some(Keeper::OtherPrimary { file }) = &mut *keeper {
            *self.file.borrow_mut() = file.take().as_deref().and_then(SocketFile::find);
            *keeper = None;
        }
    }

    /// Another primary decides about it from now on, if this process has until now. Its file stays.
    pub fn disown(&self) {
        let mut keeper = self.keeper.borrow_mut();
        if keeper.is_none() {
            *keeper = Some(Keeper::OtherPrimary { file: None });
            if let Some(file) = self.file.take() {
                file.leave();
            }
        }
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Bound {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Binds what `query` asks for. `is_contested` says that other processes may change a path meanwhile.
///
/// # Errors
/// As `bind(2)`, which the worker's server reports: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, …;
/// `EINVAL` for an invalid address.
pub fn bind_query(query: &Query, is_contested: bool) -> io::Result<Bound> {
    let socket = match &query.target {
        Target::Tcp { address, port } => bind_tcp(address.as_deref(), *port, query)?,
        Target::Udp { address, port, ipv6 } => bind_udp(address.as_deref(), *port, *ipv6, query)?,
        Target::Unix { path } => return bind_unix(path, query, is_contested),
        Target::Descriptor { fd, datagrams } => {
            // net and dgram report EINVAL for any other descriptor.
            let socket = duplicate(*fd).map_err(|_| Errno::EINVAL)?;
            match nature(&socket) {
                Some(Nature::Udp) if *datagrams => {}
                Some(Nature::Tcp { listening: true } | Nature::Pipe { listening: true })
                    if !datagrams => {}
                // A bound socket does not listen yet. A connection can't be shared.
                Some(Nature::Tcp { .. } | Nature::Pipe { .. })
                    if !datagrams && is_bound(&socket) && !is_connected(&socket) => {}
                _ => return Err(Errno::EINVAL.into()),
            }
            set_nonblocking(&socket, true)?;
            socket
        }
    };
    let keeper = matches!(query.target, Target::Descriptor { .. }).then_some(Keeper::Program);
    Ok(Bound { keeper: RefCell::new(keeper), ..Bound::new(socket, None) })
}

/// Whether a socket has an address of its own.
fn is_bound(socket: &OwnedFd) -> bool {
    let Ok(name) = name_of(socket) else { return false };
    match internet_address(&name) {
        Some(address) => address.port() != 0,
        None if name.family() == Some(AddressFamily::Unix) => {
            // `nix` returns `None` for the longest path, to which the kernel adds a zero byte; so that
            // is a name too.
            !name.as_unix_addr().is_some_and(platform_socket::is_unnamed)
        }
        None => false,
    }
}

/// Starts to listen.
///
/// # Errors
/// As `listen(2)`, usually `EADDRINUSE`.
pub fn start(bound: &Bound, query: &Query) -> io::Result<()> {
    start_with(&bound.socket, wanted_backlog(query).try_into().unwrap_or(i32::MAX))
}

/// Like [`start`], with a backlog as `listen(2)` takes it.
///
/// # Errors
/// As [`start`].
pub fn start_with(socket: impl AsFd, backlog: i32) -> io::Result<()> {
    // By `libc`, because `nix` refuses a backlog that the kernel would reduce.
    // SAFETY: an open descriptor, and a number.
    let result = unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) };
    Ok(Errno::result(result).map(drop)?)
}

/// How many connections the kernel is asked to queue. It may allow fewer.
pub fn wanted_backlog(query: &Query) -> u32 {
    if query.backlog == 0 { DEFAULT_BACKLOG } else { query.backlog }
}

/// Stops listening, for every holder of the socket with this number: it refuses connections, and a
/// blocked `accept` returns. A process that another thread is starting has a copy of the socket until
/// it executes its program, which would keep the port in use that long. On macOS the kernel does not
/// stop a listening socket, so the port stays in use.
pub fn stop(listening: RawFd) {
    // If the number is not a socket, there is nothing to stop.
    let _ = shutdown(listening, Shutdown::Read);
}

/// Whether a socket still accepts connections.
pub fn is_listening(socket: impl AsFd) -> bool {
    platform_socket::is_listening(socket.as_fd())
}

/// How many connections the kernel queues at a TCP socket; `None` where it does not say.
pub fn backlog_limit(listening: impl AsFd) -> Option<u32> {
    platform::backlog_limit(listening.as_fd().as_raw_fd())
}

/// How many connections wait to be accepted from a TCP socket; on macOS 1 if there are any.
pub fn backlog(listening: impl AsFd) -> usize {
    backlog_of(listening.as_fd().as_raw_fd())
}

/// Like [`backlog`], for the socket with this number; 0 if the number is not a socket.
pub fn backlog_of(listening: RawFd) -> usize {
    platform::backlog(listening)
}

/// Lets other sockets with this option bind the address of a listening socket. Call this after
/// [`start`]; before, the socket could share an address that another process has.
///
/// # Errors
/// `EOPNOTSUPP` for a socket of another family.
pub fn allow_siblings(listening: &Bound) -> io::Result<()> {
    Ok(setsockopt(&listening.socket, sockopt::ReusePort, &true)?)
}

/// Opens another listening socket on the address of `bound`, for which [`allow_siblings`] was called.
///
/// # Errors
/// As [`bind_query`] and [`start`].
pub fn sibling(bound: &Bound, query: &Query) -> io::Result<Bound> {
    let address = internet_address(&name_of(bound)?).ok_or(Errno::EAFNOSUPPORT)?;
    let ipv6_only = is_ipv6_only(bound);
    let reusing = Query { reuse_port: true, ipv6_only, ..query.clone() };
    let socket = bind_internet(SockType::Stream, address, &reusing)?;
    let sibling = Bound::new(socket, None);
    start(&sibling, query)?;
    Ok(sibling)
}

/// Whether a socket serves IPv6 alone. Sockets of other families do not.
pub(super) fn is_ipv6_only(socket: impl AsFd) -> bool {
    getsockopt(&socket, sockopt::Ipv6V6Only).unwrap_or(false)
}

/// The socket's own address; `None` for sockets that are neither IPv4 nor IPv6.
///
/// # Errors
/// `ENOTSOCK`.
pub fn bound_address(bound: &Bound) -> io::Result<Option<BoundAddress>> {
    socket_address(bound)
}

/// As [`bound_address`].
///
/// # Errors
/// `ENOTSOCK`.
pub fn socket_address(socket: impl AsFd) -> io::Result<Option<BoundAddress>> {
    Ok(internet_address(&name_of(socket)?).map(|address| BoundAddress {
        address: text_of(&address),
        family: if address.is_ipv4() { "IPv4" } else { "IPv6" }.into(),
        port: address.port(),
    }))
}

fn bind_tcp(address: Option<&str>, port: u16, query: &Query) -> io::Result<OwnedFd> {
    let Some(address) = address else {
        // Like net: bind the IPv6 wildcard, or the IPv4 one if there is no IPv6. A port that is in use
        // for IPv6 is in use for IPv4 too.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return match bind_internet(SockType::Stream, any, query) {
            Err(error) if error.raw_os_error() != Some(libc::EADDRINUSE) => {
                let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                bind_internet(SockType::Stream, any, query)
            }
            result => result,
        };
    };
    bind_internet(SockType::Stream, parse_address(address, port)?, query)
}

fn bind_udp(address: Option<&str>, port: u16, ipv6: bool, query: &Query) -> io::Result<OwnedFd> {
    let address = match address {
        Some(address) => parse_address(address, port)?,
        None if ipv6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
    };
    // libuv refuses `ipv6Only` for an IPv4 socket.
    if address.is_ipv6() != ipv6 || (query.ipv6_only && !ipv6) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    bind_internet(SockType::Datagram, address, query)
}

fn bind_internet(kind: SockType, address: SocketAddr, query: &Query) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = platform::socket(family, kind)?;
    // libuv does so for every TCP server, and for UDP when asked to.
    if kind == SockType::Stream || query.reuse_address {
        platform::reuse_address(&socket, kind)?;
    }
    if query.reuse_port {
        platform::reuse_port(&socket)?;
    }
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &query.ipv6_only)?;
    }
    let fd = socket.as_raw_fd();
    match address {
        SocketAddr::V4(address) => bind(fd, &SockaddrIn::from(address))?,
        SocketAddr::V6(address) => bind(fd, &SockaddrIn6::from(address))?,
    }
    Ok(socket)
}

fn bind_unix(path: &str, query: &Query, is_contested: bool) -> io::Result<Bound> {
    let socket = platform::socket(AddressFamily::Unix, SockType::Stream)?;
    let file = match path.strip_prefix('\0') {
        Some(name) => {
            bind(socket.as_raw_fd(), &platform::abstract_name(name.as_bytes())?)?;
            None
        }
        None => SocketFile::bind(&socket, path, query, is_contested)?,
    };
    Ok(Bound::new(socket, file))
}

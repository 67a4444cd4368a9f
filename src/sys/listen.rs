//! Addresses bound the way libuv binds them, and connections accepted.

use std::{
    ffi::CStr,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, Shutdown, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
        bind, getpeername, getsockname, setsockopt, shutdown, sockopt,
    },
};

pub use super::platform::listen::SPREADS_CONNECTIONS;
use super::{
    descriptor::{duplicate, set_nonblocking},
    failure::{Call, Failure, attempt},
    platform::{listen as platform, socket as platform_socket},
    socket::{Nature, internet_address, nature},
    socket_file::SocketFile,
};
use crate::protocol::control::{BoundAddress, Query, Target};

/// What `listen(2)` gets when the server names no backlog: Node's default.
const DEFAULT_BACKLOG: u32 = 511;

/// A bound socket, and the file that has to go when it closes.
#[derive(Debug)]
pub struct Bound {
    /// The socket; it does not block.
    pub socket: OwnedFd,
    #[expect(dead_code, reason = "does its work when it is dropped")]
    file: Option<SocketFile>,
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

/// Binds what `query` asks for. `is_contested`: others may change a path while it is bound.
///
/// # Errors
/// As `bind(2)`, which is what the worker's server reports: `EADDRINUSE`, `EACCES`,
/// `EADDRNOTAVAIL`, …; `EINVAL` for an address that is none.
pub fn bind_query(query: &Query, is_contested: bool) -> io::Result<Bound> {
    let socket = match &query.target {
        Target::Tcp { address, port } => bind_tcp(address.as_deref(), *port, query)?,
        Target::Udp { address, port, ipv6 } => bind_udp(address.as_deref(), *port, *ipv6, query)?,
        Target::Unix { path } => return bind_unix(path, query, is_contested),
        Target::Descriptor { fd, datagrams } => {
            // What is no such socket is EINVAL to net and dgram, whatever it is instead.
            let socket = duplicate(*fd).map_err(|_| Errno::EINVAL)?;
            match nature(&socket) {
                Some(Nature::Udp) if *datagrams => {}
                Some(Nature::Tcp { listening: true } | Nature::Pipe { listening: true })
                    if !datagrams => {}
                // One that is bound is yet to listen. A connection is nobody else's.
                Some(Nature::Tcp { .. } | Nature::Pipe { .. })
                    if !datagrams && is_bound(&socket) && !is_connected(&socket) => {}
                _ => return Err(Errno::EINVAL.into()),
            }
            set_nonblocking(&socket, true)?;
            socket
        }
    };
    Ok(Bound { socket, file: None })
}

/// Whether a socket has an address of its own.
fn is_bound(socket: &OwnedFd) -> bool {
    let Ok(name) = name_of(socket) else { return false };
    match internet_address(&name) {
        Some(address) => address.port() != 0,
        None if name.family() == Some(AddressFamily::Unix) => {
            // `nix` does not take the longest of paths, to which the kernel adds a zero.
            !name.as_unix_addr().is_some_and(platform_socket::is_unnamed)
        }
        None => false,
    }
}

/// The socket's own address.
fn name_of(socket: impl AsFd) -> nix::Result<SockaddrStorage> {
    getsockname(socket.as_fd().as_raw_fd())
}

fn is_connected(socket: impl AsFd) -> bool {
    getpeername::<SockaddrStorage>(socket.as_fd().as_raw_fd()).is_ok()
}

/// Starts to listen.
///
/// # Errors
/// As `listen(2)`: `EADDRINUSE` above all.
pub fn start(bound: &Bound, query: &Query) -> io::Result<()> {
    start_with(&bound.socket, wanted_backlog(query).try_into().unwrap_or(i32::MAX))
}

/// As [`start`], with a backlog as `listen(2)` takes it.
///
/// # Errors
/// As [`start`].
pub fn start_with(socket: impl AsFd, backlog: i32) -> io::Result<()> {
    // By `libc`, because `nix` refuses a backlog that the kernel would cut.
    // SAFETY: an open descriptor, and a number.
    let result = unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) };
    Ok(Errno::result(result).map(drop)?)
}

/// How many connections the kernel is asked to queue. It may allow fewer.
pub fn wanted_backlog(query: &Query) -> u32 {
    if query.backlog == 0 { DEFAULT_BACKLOG } else { query.backlog }
}

/// Ends listening for every holder of the socket, by its number: it refuses connections, and a call that
/// waits for one returns. A process that another thread is starting has a copy until it executes its
/// program; without this, the port would be in use as long. Where the kernel does not stop a socket that
/// listens, as on macOS, it is in use.
pub fn stop(listening: RawFd) {
    // A number of no socket is an error, and then nothing is to be done.
    let _ = shutdown(listening, Shutdown::Read);
}

/// Accepts one connection of a socket that other processes have as well, and may have made wait. Only one
/// that takes what waits at this very moment makes this wait for the next connection.
///
/// # Errors
/// As [`accept`]; [`Failure::Shortage`] also when the kernel has too little memory to look.
pub fn accept_shared(listening: impl AsFd) -> Result<Option<OwnedFd>, Failure> {
    // It fails only for what is no socket.
    let _ = set_nonblocking(&listening, true);
    let mut polled = [PollFd::new(listening.as_fd(), PollFlags::POLLIN)];
    if attempt(Call::Poll, || poll(&mut polled, PollTimeout::ZERO))? == 0 {
        return Err(Failure::WouldBlock);
    }
    let accepted = accept(listening);
    if let Ok(Some(connection)) = &accepted {
        // It is as the listening socket is.
        let _ = reset_options(connection);
    }
    accepted
}

/// Whether a socket accepts connections still.
pub fn is_listening(socket: impl AsFd) -> bool {
    platform_socket::is_listening(socket.as_fd())
}

/// Accepts one connection of a listening socket; it does not block. Without a connection, the first of
/// them had to be dropped, and there may be others: its client has gone meanwhile, a firewall forbids it,
/// or the network has failed it.
///
/// # Errors
/// [`Failure::WouldBlock`] when none waits, [`Failure::Shortage`] when this process has no descriptor for
/// it; it goes on waiting then.
pub fn accept(listening: impl AsFd) -> Result<Option<OwnedFd>, Failure> {
    match attempt(Call::Accept, || platform::accept(listening.as_fd())) {
        Err(Failure::Fault(fault)) if OF_CONNECTION.contains(&fault.errno) => Ok(None),
        accepted => accepted.map(Some),
    }
}

/// Why [`accept`] fails because of the one connection, as accept(2) of Linux has it.
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

/// What a descriptor is that somebody says was accepted from a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A connection, as far as the kernel can tell of that very socket.
    Listener,
    /// It was one. Its client has reset it.
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

/// That of a listening socket, to be compared when it may be closed. `None` for one of another kind.
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
        // The listening one may be bound to all addresses.
        (Some(own), Some(theirs)) => !has_its_address || own.port() == theirs.port(),
        _ => own == *theirs,
    };
    match is_connected(&connection) {
        _ if !(is_of_kind && is_of_family && has_address) => Origin::Elsewhere,
        true => Origin::Listener,
        false => Origin::Ended,
    }
}

/// Undoes what another process may have set on a connection so that it harms who serves it next: reads
/// and writes do not wait, and to close it does not reset it.
///
/// # Errors
/// When it is no socket.
pub fn reset_options(connection: impl AsFd) -> io::Result<()> {
    set_nonblocking(&connection, true)?;
    let closes_at_once = libc::linger { l_onoff: 0, l_linger: 0 };
    Ok(setsockopt(&connection, sockopt::Linger, &closes_at_once)?)
}

/// How many connections wait to be accepted from a TCP socket; on macOS 1 where there are some.
pub fn backlog(listening: impl AsFd) -> usize {
    backlog_of(listening.as_fd().as_raw_fd())
}

/// As [`backlog`], of the socket with this number; 0 if there is none.
pub fn backlog_of(listening: RawFd) -> usize {
    platform::backlog(listening)
}

/// Lets siblings of a listening socket have the same address, if they ask for it as well. To be called
/// after [`start`], which would share the address of somebody else otherwise.
///
/// # Errors
/// `EOPNOTSUPP` for what is no internet socket.
pub fn allow_siblings(listening: &Bound) -> io::Result<()> {
    Ok(setsockopt(&listening.socket, sockopt::ReusePort, &true)?)
}

/// Another listening socket on the address of `bound`, which has [`allow_siblings`].
///
/// # Errors
/// As [`bind_query`] and [`start`].
pub fn sibling(bound: &Bound, query: &Query) -> io::Result<Bound> {
    let address = internet_address(&name_of(bound)?).ok_or(Errno::EAFNOSUPPORT)?;
    let reusing = Query { reuse_port: true, ..query.clone() };
    let socket = bind_internet(SockType::Stream, address, &reusing)?;
    let sibling = Bound { socket, file: None };
    start(&sibling, query)?;
    Ok(sibling)
}

/// The socket's own address; `None` for sockets that are neither IPv4 nor IPv6.
///
/// # Errors
/// `ENOTSOCK`.
pub fn bound_address(bound: &Bound) -> io::Result<Option<BoundAddress>> {
    Ok(internet_address(&name_of(bound)?).map(|address| BoundAddress {
        address: text_of(&address),
        family: if address.is_ipv4() { "IPv4" } else { "IPv6" }.into(),
        port: address.port(),
    }))
}

/// An IP address in text, a link-local one with its `%zone`.
fn text_of(address: &SocketAddr) -> String {
    let zone = match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => {
            interface_name(address.scope_id())
        }
        _ => None,
    };
    match zone {
        Some(zone) => format!("{}%{zone}", address.ip()),
        None => address.ip().to_string(),
    }
}

fn bind_tcp(address: Option<&str>, port: u16, query: &Query) -> io::Result<OwnedFd> {
    let Some(address) = address else {
        // As net does it: the IPv6 wildcard, and IPv4's where there is no IPv6. A port in use is
        // the same port in use there.
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
    // libuv refuses to ask an IPv4 socket for no IPv4.
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
    Ok(Bound { socket, file })
}

/// An IP address in text, an IPv6 one with an optional `%zone`: the name of an interface. As in Node, a
/// number is no such name, and one that no interface has counts as none.
fn parse_address(address: &str, port: u16) -> io::Result<SocketAddr> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let Some((address, zone)) = address.split_once('%') else {
        return Ok(SocketAddr::new(address.parse().map_err(|_| invalid())?, port));
    };
    let address: Ipv6Addr = address.parse().map_err(|_| invalid())?;
    Ok(SocketAddrV6::new(address, port, 0, interface(zone).unwrap_or(0)).into())
}

/// The number of a network interface.
fn interface(name: &str) -> Option<u32> {
    if_nametoindex(name).ok()
}

/// The name of a network interface, by its number.
fn interface_name(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // By `libc`, because `nix` takes the null pointer of a failure for a name.
    // SAFETY: the function writes a C string of at most so many bytes.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    name.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{
        failure::Fault,
        inject::{FAULTS, SHORTAGES, fail_here},
    };

    /// That of the loopback interface, which every machine has.
    fn loopback() -> (String, u32) {
        let names = ["lo", "lo0"];
        let found = names.iter().find_map(|name| Some(((*name).into(), interface(name)?)));
        found.unwrap()
    }

    fn parse(address: &str) -> SocketAddr {
        parse_address(address, 0).unwrap()
    }

    #[test]
    fn a_link_local_address_keeps_its_zone() {
        let (name, index) = loopback();
        let address = format!("fe80::1%{name}");
        let parsed = parse(&address);
        assert!(matches!(parsed, SocketAddr::V6(it) if it.scope_id() == index));
        assert_eq!(text_of(&parsed), address);
    }

    #[test]
    fn an_address_of_another_kind_has_no_zone() {
        let (name, _) = loopback();
        assert_eq!(text_of(&parse(&format!("::1%{name}"))), "::1");
        assert_eq!(text_of(&parse("fe80::1")), "fe80::1");
        assert_eq!(text_of(&parse("127.0.0.1")), "127.0.0.1");
    }

    #[test]
    fn only_a_name_of_an_interface_is_a_zone() {
        for zone in ["1", "01", "-1", "0", "", "none", "a\0b"] {
            let parsed = parse(&format!("fe80::1%{zone}"));
            assert!(matches!(parsed, SocketAddr::V6(it) if it.scope_id() == 0), "{zone}");
        }
    }

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

//! Sockets that were bound elsewhere: by the service manager, or by another primary.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

use nix::{sys::stat::fstat, unistd::geteuid};

use super::{
    accept::is_connected,
    address::{internet_address, name_of, parse_address, text_of},
    listen::{self, Bound, Keeper, backlog_limit, is_ipv6_only, is_listening, wanted_backlog},
    platform::socket::abstract_name_of,
    socket::{Nature, nature},
};
use crate::protocol::control::{Query, Target};

/// Why a socket of the service manager can't be adopted; completes the sentence after "it".
///
/// # Errors
/// That reason.
pub fn check(socket: impl AsFd) -> Result<(), &'static str> {
    match nature(&socket) {
        Some(Nature::Udp | Nature::Tcp { listening: true } | Nature::Pipe { listening: true }) => {
            Ok(())
        }
        Some(Nature::Tcp { .. } | Nature::Pipe { .. }) if is_connected(&socket) => {
            Err("is a connection")
        }
        Some(Nature::Tcp { .. } | Nature::Pipe { .. }) => Err("does not listen"),
        _ => Err("is not a socket of TCP, UDP or a stream of Unix"),
    }
}

/// Whether a socket has the address that a query asks for. Ports and names that the kernel chooses suit no query.
pub fn suits(socket: impl AsFd, query: &Query) -> bool {
    let socket = socket.as_fd();
    match (&query.target, nature(socket)) {
        (Target::Tcp { address, port }, Some(Nature::Tcp { .. })) => {
            internet(socket).is_some_and(|own| match address {
                _ if *port == 0 || own.port() != *port => false,
                None => own.ip().is_unspecified(),
                Some(address) => is_at(own, address, *port) || is_dual(socket, own, address),
            })
        }
        (Target::Udp { address, port, ipv6 }, Some(Nature::Udp)) => {
            internet(socket).is_some_and(|own| match address {
                _ if *port == 0 || own.port() != *port || own.is_ipv6() != *ipv6 => false,
                None => own.ip().is_unspecified(),
                Some(address) => is_at(own, address, *port),
            })
        }
        (Target::Unix { path }, Some(Nature::Pipe { .. })) => {
            let Ok(name) = name_of(socket) else { return false };
            let name = name.as_unix_addr();
            match path.strip_prefix('\0') {
                Some(wanted) => {
                    let own = name.and_then(abstract_name_of);
                    own.is_some_and(|own| unfilled(own) == unfilled(wanted.as_bytes()))
                }
                None => {
                    let own = name.and_then(|it| it.path());
                    own.is_some_and(|own| own == Path::new(path) || is_same_file(own, path))
                }
            }
        }
        _ => false,
    }
}

/// What a worker would have to ask for to get this socket; `None` for a socket without an address.
pub fn query_of(socket: impl AsFd) -> Option<Query> {
    let socket = socket.as_fd();
    let target = match nature(socket)? {
        Nature::Tcp { .. } => {
            let own = internet(socket)?;
            Target::Tcp { address: Some(text_of(&own)), port: own.port() }
        }
        Nature::Udp => {
            let own = internet(socket)?;
            let address = Some(text_of(&own));
            Target::Udp { address, port: own.port(), ipv6: own.is_ipv6() }
        }
        Nature::Pipe { .. } => {
            let name = name_of(socket).ok()?;
            let name = name.as_unix_addr()?;
            let abstract_name =
                abstract_name_of(name).map(|it| format!("\0{}", String::from_utf8_lossy(it)));
            let path = name.path().map(|it| it.to_string_lossy().into_owned());
            Target::Unix { path: abstract_name.or(path)? }
        }
        Nature::Fifo => return None,
    };
    Some(Query { ipv6_only: is_ipv6_only(socket), ..Query::new(target) })
}

/// The kind and the address of a socket, for people: `tcp 127.0.0.1:80`, `udp [::]:53`, `unix /run/app.sock`,
/// `unix @app`; `None` for a socket without an address.
pub fn describe(socket: impl AsFd) -> Option<String> {
    Some(match query_of(socket)?.target {
        Target::Tcp { address, port } => format!("tcp {}", place(&address?, port)),
        Target::Udp { address, port, .. } => format!("udp {}", place(&address?, port)),
        Target::Unix { path } => match path.strip_prefix('\0') {
            Some(name) => format!("unix @{}", name.trim_end_matches('\0').replace('\0', "@")),
            None => format!("unix {path}"),
        },
        Target::Descriptor { .. } => return None,
    })
}

fn place(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Whether two descriptors name the same open socket.
pub fn are_same(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |fd| fstat(fd).map(|it| (it.st_dev, it.st_ino)).ok();
    let (one, other) = (identity(one.as_fd()), identity(other.as_fd()));
    one.is_some() && one == other
}

/// Whether the kernel lets this process bind other sockets to the address of this one: this user has to have made it.
pub fn may_have_siblings(socket: impl AsFd) -> bool {
    fstat(socket.as_fd()).is_ok_and(|it| it.st_uid == geteuid().as_raw())
}

/// Listens where a process has ended that, or where the query names a longer backlog than that of a TCP socket. Says
/// nothing of the backlog of other sockets, which the kernel does not tell.
///
/// # Errors
/// As [`listen::start`].
pub fn resume(bound: &Bound, query: &Query) -> io::Result<()> {
    let is_longer = query.backlog > 0
        && match backlog_limit(bound) {
            Some(limit) => wanted_backlog(query) > limit,
            None => bound.keeper() != Some(Keeper::ServiceManager),
        };
    if is_longer || !is_listening(bound) { listen::start(bound, query) } else { Ok(()) }
}

fn internet(socket: impl AsFd) -> Option<SocketAddr> {
    internet_address(&name_of(socket).ok()?)
}

/// Whether this is the address with this text.
fn is_at(own: SocketAddr, address: &str, port: u16) -> bool {
    parse_address(address, port).is_ok_and(|wanted| own == wanted)
}

/// Whether a socket for all addresses of IPv6 serves all of IPv4 as well, and those are what is wanted: no other
/// socket could be bound to them.
fn is_dual(socket: impl AsFd, own: SocketAddr, address: &str) -> bool {
    address.parse() == Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        && own.is_ipv6()
        && own.ip().is_unspecified()
        && !is_ipv6_only(socket)
}

/// An abstract name without the zeros by which some releases of Node fill it up.
fn unfilled(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &name[..end]
}

/// Whether two paths lead to one file, as they do below `/run` and `/var/run`.
fn is_same_file(one: &Path, other: &str) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    let (one, other) = (identity(one), identity(Path::new(other)));
    one.is_some() && one == other
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream, UdpSocket},
        os::fd::OwnedFd,
        os::unix::net::UnixListener,
    };

    use super::*;

    fn tcp(address: Option<&str>, port: u16) -> Query {
        Query::new(Target::Tcp { address: address.map(str::to_owned), port })
    }

    fn unix(path: &str) -> Query {
        Query::new(Target::Unix { path: path.into() })
    }

    /// A listening socket that serves IPv6 alone or both.
    fn wildcard(ipv6_only: bool) -> (OwnedFd, u16) {
        let query = Query { ipv6_only, ..tcp(Some("::"), 0) };
        let bound = listen::bind_query(&query, false).unwrap();
        listen::start(&bound, &query).unwrap();
        let port = listen::bound_address(&bound).unwrap().unwrap().port;
        (bound.socket, port)
    }

    #[test]
    fn a_tcp_socket_suits_its_own_address_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(suits(&listener, &tcp(Some("127.0.0.1"), port)));
        for address in [None, Some("0.0.0.0"), Some("::"), Some("127.0.0.2"), Some("::1")] {
            assert!(!suits(&listener, &tcp(address, port)), "{address:?}");
        }
        assert!(!suits(&listener, &tcp(Some("127.0.0.1"), port ^ 1)));
        assert!(!suits(&listener, &tcp(Some("127.0.0.1"), 0)));
        let udp = Target::Udp { address: Some("127.0.0.1".into()), port, ipv6: false };
        assert!(!suits(&listener, &Query::new(udp)));
        let query = query_of(&listener).unwrap();
        assert_eq!(query, tcp(Some("127.0.0.1"), port));
    }

    #[test]
    fn a_dual_stack_socket_suits_both_wildcards() {
        let (both, port) = wildcard(false);
        for address in [None, Some("::"), Some("0.0.0.0")] {
            assert!(suits(&both, &tcp(address, port)), "{address:?}");
        }
        let (one, port) = wildcard(true);
        for (address, wanted) in [(None, true), (Some("::"), true), (Some("0.0.0.0"), false)] {
            assert_eq!(suits(&one, &tcp(address, port)), wanted, "{address:?}");
        }
        assert!(query_of(&one).unwrap().ipv6_only);
    }

    #[test]
    fn a_udp_socket_suits_its_family() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let udp = |ipv6| Query::new(Target::Udp { address: None, port, ipv6 });
        assert!(suits(&socket, &udp(false)));
        assert!(!suits(&socket, &udp(true)));
        assert!(!suits(&socket, &tcp(None, port)));
    }

    #[test]
    fn a_unix_socket_suits_every_path_to_its_file() {
        let folder = std::env::temp_dir().join(format!("rs-adopt-{}", std::process::id()));
        fs::create_dir_all(folder.join("run")).unwrap();
        std::os::unix::fs::symlink(folder.join("run"), folder.join("var")).unwrap();
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let listener = UnixListener::bind(path("run/socket")).unwrap();
        assert!(suits(&listener, &unix(&path("run/socket"))));
        assert!(suits(&listener, &unix(&path("var/socket"))));
        assert!(!suits(&listener, &unix(&path("run/other"))));
        assert_eq!(query_of(&listener).unwrap(), unix(&path("run/socket")));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_abstract_name_suits_with_what_fills_it_up() {
        let name = format!("\0rs-adopt-{}", std::process::id());
        let bound = listen::bind_query(&unix(&name), false).unwrap();
        listen::start(&bound, &unix(&name)).unwrap();
        assert!(suits(&bound, &unix(&name)));
        assert!(suits(&bound, &unix(&format!("{name}\0\0"))));
        assert!(!suits(&bound, &unix(&format!("{name}x"))));
        assert!(!suits(&bound, &unix(&name[1..])));
        assert_eq!(query_of(&bound).unwrap(), unix(&name));
    }

    #[test]
    fn only_sockets_that_serve_can_be_adopted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(check(&listener), Ok(()));
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(check(connection), Err("is a connection"));
        let bound = listen::bind_query(&tcp(Some("127.0.0.1"), 0), false).unwrap();
        assert_eq!(check(bound), Err("does not listen"));
        let file = fs::File::open("/dev/null").unwrap();
        assert!(check(file).unwrap_err().contains("is not a socket"));
    }

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "the kernel does not report backlogs")]
    fn a_backlog_only_grows() {
        let query = Query { backlog: 20, ..tcp(Some("127.0.0.1"), 0) };
        let bound = listen::bind_query(&query, false).unwrap();
        resume(&bound, &query).unwrap();
        assert_eq!(backlog_limit(&bound), Some(20), "it listens now");
        for (backlog, limit) in [(10, 20), (0, 20), (30, 30)] {
            resume(&bound, &Query { backlog, ..query.clone() }).unwrap();
            assert_eq!(backlog_limit(&bound), Some(limit));
        }
        listen::stop(std::os::fd::AsRawFd::as_raw_fd(&bound));
        resume(&bound, &query).unwrap();
        assert!(is_listening(&bound), "after another process had ended that");
    }
}

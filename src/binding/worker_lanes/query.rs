use std::os::fd::{IntoRawFd, OwnedFd};

use napi_derive::napi;

use crate::protocol::control::{Query, Reply, Target};

/// The address that a server wants to serve. Exactly one of `path`, `fd` and `port` is set.
#[napi(object, object_to_js = false)]
pub struct ListenQuery {
    /// An IP address; all addresses if missing.
    pub address: Option<String>,
    /// A TCP or UDP port.
    pub port: Option<u16>,
    /// A Unix socket.
    pub path: Option<String>,
    /// A descriptor of the primary.
    pub fd: Option<i32>,
    /// 4 or 6 for UDP.
    pub udp: Option<u32>,
    /// How many connections the kernel may queue; 0 for the default.
    pub backlog: u32,
    /// Bind IPv6 only.
    pub ipv6_only: bool,
    /// Share the UDP port with other processes.
    pub reuse_address: bool,
    /// Share the port among sockets.
    pub reuse_port: bool,
    /// Make the Unix socket readable for all users.
    pub readable_all: bool,
    /// Make the Unix socket writable for all users.
    pub writable_all: bool,
    /// Distinguishes several `listen(0)` of one worker.
    pub index: u32,
    /// What the server shares with those of other workers, as JSON.
    pub data: Option<String>,
    /// Whether the server speaks HTTP/1 without TLS.
    pub is_http: bool,
}

impl From<ListenQuery> for Query {
    fn from(query: ListenQuery) -> Self {
        let ListenQuery { address, path, fd, udp, .. } = query;
        let port = query.port.unwrap_or(0);
        let target = match (path, fd, udp) {
            (Some(path), ..) => Target::Unix { path },
            (_, Some(fd), udp) => Target::Descriptor { fd, datagrams: udp.is_some() },
            (.., Some(family)) => Target::Udp { address, port, ipv6: family == 6 },
            _ => Target::Tcp { address, port },
        };
        Self {
            target,
            backlog: query.backlog,
            ipv6_only: query.ipv6_only,
            reuse_address: query.reuse_address,
            reuse_port: query.reuse_port,
            readable_all: query.readable_all,
            writable_all: query.writable_all,
            index: query.index,
        }
    }
}

/// The primary's answer to a `ListenQuery`.
#[napi(object, object_from_js = false)]
pub struct ListenReply {
    /// What `listen` returned.
    pub seq: u32,
    /// 0, or a negated errno.
    pub errno: i32,
    /// The id of the listener.
    pub listener: u32,
    /// The shared socket to accept from, which the callee owns; -1 otherwise. The addon itself accepts
    /// from a socket of the worker's own, and delivers its connections like others.
    pub fd: i32,
    /// The bound IP address.
    pub address: Option<String>,
    /// `IPv4` or `IPv6`.
    pub family: Option<String>,
    /// The bound port.
    pub port: Option<u16>,
    /// What the first worker's server shared, as JSON.
    pub data: Option<String>,
}

impl ListenReply {
    pub(super) fn new(reply: Reply, shared: Option<OwnedFd>) -> Self {
        let Reply { seq, errno, listener, address, data, .. } = reply;
        let (address, family, port) = match address {
            Some(bound) => (Some(bound.address), Some(bound.family), Some(bound.port)),
            None => (None, None, None),
        };
        Self {
            seq,
            errno,
            listener,
            fd: shared.map_or(-1, IntoRawFd::into_raw_fd),
            address,
            family,
            port,
            data: data.map(|data| data.to_string()),
        }
    }
}

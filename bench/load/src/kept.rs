//! Opens keep-alive connections, has one request answered on each, and keeps them open without another until
//! stdin ends. Prints `{"open":…}` when all are open, and at the end how many the server has closed:
//! `{"lost":…}`.
//!
//! Each is opened when the one before has its answer: whoever wants more at once starts several processes, each
//! with a source address of its own, because an address has only some ten thousand ports.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::{
    errno::Errno,
    libc::linger,
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, recv, setsockopt,
        socket, sockopt,
    },
};
use serde::Deserialize;
use serde_json::json;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GREETING: &[u8] = b"HTTP/1.1 200 ";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept open.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Kept {
    /// Where the server listens, on 127.0.0.1.
    port: u16,
    /// The address that the connections come from, of those of this machine itself.
    source: Ipv4Addr,
    /// How many connections.
    count: usize,
}

/// Runs until stdin ends; returns the report.
pub(crate) fn run(kept: &Kept) -> io::Result<String> {
    let connections: Vec<_> = (0..kept.count).map(|_| open(kept)).collect::<Result<_, _>>()?;
    println!("{}", json!({ "open": connections.len() }));
    io::stdin().read_to_end(&mut Vec::new())?;
    let lost = connections.iter().filter(|it| !is_open(it)).count();
    Ok(json!({ "lost": lost }).to_string())
}

fn open(kept: &Kept) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Closing resets the connection, so that its port can be taken again at once.
    setsockopt(&socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(kept.source, 0)))?;
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, kept.port);
    connect(socket.as_raw_fd(), &SockaddrIn::from(server))?;
    let mut connection = TcpStream::from(socket);
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(REQUEST)?;
    let mut answer = [0; 1024];
    let length = connection.read(&mut answer)?;
    match answer[..length].starts_with(GREETING) {
        true => Ok(connection),
        false => Err(io::Error::other("a request was not answered by 200")),
    }
}

/// Whether the server has not closed it, nor sent anything more.
fn is_open(connection: &TcpStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(connection.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
}

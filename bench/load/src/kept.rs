//! Opens keep-alive connections, has one request answered on each, and keeps them open without another until
//! stdin ends. Prints `{"open":…}` when all are open, and at the end how many the server has closed:
//! `{"lost":…}`.
//!
//! Each is opened when the one before has its answer: to open several at once, start several processes, each
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

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// A server that answers one request so; it ends when the connection is dropped.
    fn serve(answer: &'static [u8]) -> (u16, thread::JoinHandle<TcpStream>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = thread::spawn(move || {
            let (mut connection, client) = listener.accept().unwrap();
            assert_eq!(client.ip(), Ipv4Addr::new(127, 0, 0, 7));
            let mut request = vec![0; REQUEST.len()];
            connection.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            connection.write_all(answer).unwrap();
            connection
        });
        (port, served)
    }

    fn kept(port: u16) -> Kept {
        Kept { port, source: Ipv4Addr::new(127, 0, 0, 7), count: 1 }
    }

    #[test]
    fn a_connection_is_open_until_the_server_closes_it() {
        let (port, served) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let connection = open(&kept(port)).unwrap();
        let server = served.join().unwrap();
        assert!(is_open(&connection));
        drop(server);
        // Returns when the end has come.
        assert_eq!(connection.peek(&mut [0]).unwrap(), 0);
        assert!(!is_open(&connection));
    }

    #[test]
    fn another_answer_than_200_is_an_error() {
        let (port, served) = serve(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert!(open(&kept(port)).is_err());
        served.join().unwrap();
    }
}

//! The load, which is the argument of the program.

use std::{
    iter,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use serde::Deserialize;

/// A load on one server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Load {
    /// Where the server listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Where it listens as well: each connection goes to the next port in turn.
    #[serde(default)]
    pub(crate) further_ports: Vec<u16>,
    /// The protocol of a connection.
    pub(crate) protocol: Protocol,
    /// When the next connection starts.
    pub(crate) pace: Pace,
    /// For how long connections are started.
    pub(crate) seconds: f64,
    /// How long the last connections may take after that, at a fixed rate.
    #[serde(default)]
    pub(crate) patience_seconds: f64,
    /// The time after which a connection counts as late.
    pub(crate) late_ms: u64,
}

impl Load {
    /// The addresses of the server, one of which each connection goes to in turn.
    pub(crate) fn servers(&self) -> Vec<SocketAddrV4> {
        let ports = iter::once(&self.port).chain(&self.further_ports);
        ports.map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port)).collect()
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience_seconds)
    }

    pub(crate) fn late(&self) -> Duration {
        Duration::from_millis(self.late_ms)
    }
}

/// When the next connection starts.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Pace {
    /// When one of so many connections has ended.
    Concurrency(usize),
    /// So many connections per second, however many have not ended yet.
    Rate(f64),
}

/// The protocol of a connection. The server always closes first, so that it is the server's side
/// that waits in TIME_WAIT, and no port of a client is ever taken.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// The client says nothing; the server says `ok` and closes.
    Tcp,
    /// The client sends a request, which `Connection: close` makes the last one.
    Http,
}

impl Protocol {
    pub(crate) fn request(self) -> &'static [u8] {
        match self {
            Self::Tcp => b"",
            Self::Http => b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        }
    }

    /// The beginning of an answer. Without it the connection was closed, but not served.
    pub(crate) fn greeting(self) -> &'static [u8] {
        match self {
            Self::Tcp => b"ok\n",
            Self::Http => b"HTTP/1.1 200 ",
        }
    }
}

//! What to do: the argument of the program.

use std::time::Duration;

use serde::Deserialize;

/// A load on one server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Load {
    /// Where the server listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// What is said on a connection.
    pub(crate) protocol: Protocol,
    /// When the next connection starts.
    pub(crate) pace: Pace,
    /// For how long connections are started.
    pub(crate) seconds: f64,
    /// How long the last ones, at a fixed rate, may take after that.
    #[serde(default)]
    pub(crate) patience_seconds: f64,
    /// From which time on a connection is counted as late.
    pub(crate) late_ms: u64,
}

impl Load {
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
    /// When one of so many has ended.
    Concurrency(usize),
    /// So many a second, however many have not ended yet.
    Rate(f64),
}

/// What is said on a connection. The server always closes first, so that it is the server's side
/// that waits in TIME_WAIT, and no port of a client is ever taken.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// The client says nothing; the server says `ok` and closes.
    Tcp,
    /// A request, by `Connection: close` the last one.
    Http,
}

impl Protocol {
    pub(crate) fn request(self) -> &'static [u8] {
        match self {
            Self::Tcp => b"",
            Self::Http => b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        }
    }

    /// How an answer begins. Without it nobody has served the connection: it was only closed.
    pub(crate) fn greeting(self) -> &'static [u8] {
        match self {
            Self::Tcp => b"ok\n",
            Self::Http => b"HTTP/1.1 200 ",
        }
    }
}

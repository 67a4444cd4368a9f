//! The plan, which is the argument of the program: shapes of traffic, all played at once.

use std::{collections::HashSet, io, net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;

/// What one run of the program does.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    /// The shapes that are played at once.
    pub(crate) shapes: Vec<Shape>,
    /// When the run ends by itself; if absent, the command `stop` or the end of stdin ends it.
    pub(crate) seconds: Option<f64>,
    /// How long a request may wait for its answer.
    #[serde(default = "ten_seconds")]
    pub(crate) answer_limit_ms: u64,
    /// A file that gets a line for each request: its id, and how it ended.
    pub(crate) log: Option<PathBuf>,
}

fn ten_seconds() -> u64 {
    10_000
}

impl Plan {
    /// Checks that ids will be unique.
    pub(crate) fn check(&self) -> io::Result<()> {
        let mut names = HashSet::new();
        for shape in &self.shapes {
            let name = shape.name();
            if name.is_empty() || !name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
                return Err(io::Error::other(format!("not a name: {name:?}")));
            }
            if !names.insert(name) {
                return Err(io::Error::other(format!("two shapes have the name {name}")));
            }
            if shape.think[0] > shape.think[1] {
                return Err(io::Error::other(format!("{name}: think is [least, most]")));
            }
        }
        Ok(())
    }

    pub(crate) fn answer_limit(&self) -> Duration {
        Duration::from_millis(self.answer_limit_ms)
    }
}

/// A number of clients that all behave in one way.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) shape: Kind,
    /// The first part of the ids of its requests; by default the name of the shape.
    name: Option<String>,
    /// `ADDRESS:PORT`, or the path of a Unix socket.
    pub(crate) address: Address,
    /// The version of TLS, if any.
    pub(crate) tls: Option<TlsVersion>,
    /// How many clients there are; how many connections a burst opens.
    #[serde(default = "one")]
    pub(crate) count: usize,
    /// For `connections`: starts so many in each second, however many have not ended yet, instead of
    /// keeping `count` open.
    pub(crate) rate: Option<f64>,
    /// The least and the most milliseconds between an answer and the next request; of `silent` before
    /// the request, of `halfHead` within its head.
    #[serde(default)]
    pub(crate) think: [f64; 2],
    /// For `pipeline`: how many requests are sent at once.
    #[serde(default = "sixteen")]
    pub(crate) depth: usize,
    /// For `http2`: how many streams each connection has open.
    #[serde(default = "thirty_two")]
    pub(crate) streams: usize,
    /// The length of a request's body, of the shapes that have one.
    #[serde(default = "sixty_four")]
    pub(crate) bytes: usize,
    /// For `upload`, `download` and `events`: in how many pieces a body comes.
    #[serde(default = "ten")]
    pub(crate) pieces: u32,
    /// For `upload`, `download` and `events`: milliseconds between two pieces.
    #[serde(default = "hundred")]
    pub(crate) every_ms: u64,
    /// For `events`: the answer has no end.
    #[serde(default)]
    pub(crate) endless: bool,
    /// For `upload`: the server answers before it has read the body.
    #[serde(default)]
    pub(crate) early: bool,
    /// The path of the requests, if it is not the one that the shape has by itself.
    path: Option<String>,
}

fn one() -> usize {
    1
}

fn sixteen() -> usize {
    16
}

fn thirty_two() -> usize {
    32
}

fn sixty_four() -> usize {
    64
}

fn ten() -> u32 {
    10
}

fn hundred() -> u64 {
    100
}

/// The behavior of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// One request for each connection, which `Connection: close` makes the last.
    Connections,
    /// GET requests on a connection that stays open.
    Get,
    /// POST requests on a connection that stays open.
    Post,
    /// Several GET requests sent at once.
    Pipeline,
    /// A connection that says nothing for some time, then has one request.
    Silent,
    /// Half a head of a request, and later the rest.
    HalfHead,
    /// A request whose body comes slowly.
    Upload,
    /// A request whose answer comes slowly.
    Download,
    /// Server-sent events with sequence numbers.
    Events,
    /// Messages that are echoed.
    WebSockets,
    /// HTTP/2, with prior knowledge where there is no TLS.
    Http2,
    /// Connections opened all at once, on each command `burst`.
    Burst,
}

/// The version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

impl Shape {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(match self.shape {
            Kind::Connections => "connections",
            Kind::Get => "get",
            Kind::Post => "post",
            Kind::Pipeline => "pipeline",
            Kind::Silent => "silent",
            Kind::HalfHead => "half-head",
            Kind::Upload => "upload",
            Kind::Download => "download",
            Kind::Events => "events",
            Kind::WebSockets => "web-sockets",
            Kind::Http2 => "http2",
            Kind::Burst => "burst",
        })
    }

    pub(crate) fn path(&self) -> String {
        if let Some(path) = &self.path {
            return path.clone();
        }
        let (pieces, every) = (self.pieces, self.every_ms);
        match self.shape {
            Kind::Download => format!("/slow?pieces={pieces}&every={every}"),
            Kind::Upload if self.early => "/early".to_owned(),
            Kind::Events if self.endless => format!("/events?every={every}"),
            Kind::Events => format!("/events?pieces={pieces}&every={every}"),
            _ => "/".to_owned(),
        }
    }

    /// How long the pieces of a body take.
    pub(crate) fn pieces_time(&self) -> Duration {
        Duration::from_millis(self.every_ms) * self.pieces
    }

    /// A random time between an answer and the next request.
    pub(crate) fn think_time(&self) -> Duration {
        let [least, most] = self.think;
        Duration::from_secs_f64((least + (most - least) * fastrand::f64()) / 1e3)
    }
}

/// Where a server listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl TryFrom<String> for Address {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp)
    }
}

//! The control socket: small, rare packets of JSON, readable in a trace.
//!
//! The worker sends [`ToPrimary`] to the engine, and the engine sends [`ToWorker`]. A packet may carry
//! one descriptor: a returned connection with [`ToPrimary::Return`], a listening socket with
//! [`ToWorker::Reply`] and [`ToWorker::Socket`].

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ListenerId, secret::Secret};

/// The largest packet that either side accepts, in bytes. It has room for an address, a path and TLS
/// ticket keys.
pub const MAX_PACKET: usize = 64 * 1024;

/// The longest `data` of [`ToPrimary::Listen`], in bytes of JSON. It is also part of the replies to
/// other workers, which have more fields.
pub const MAX_DATA: usize = 16 * 1024;

/// The longest [`ToPrimary`] in bytes, except [`ToPrimary::Listen`] and [`ToPrimary::Unable`], which
/// may fill a packet.
pub const SHORT: usize = 64;

/// How the requests begin that may be longer than [`SHORT`].
const LONG: [&[u8]; 2] = [br#"{"act":"listen","#, br#"{"act":"unable","#];

/// The longest `reason` of a [`DrainOrder`], in bytes. Each may take six bytes of JSON.
pub const MAX_REASON: usize = 4096;

/// How many sockets of its own a worker can count connections at.
pub const COUNTER_SLOTS: usize = 64;

/// What a worker asks of the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase")]
pub enum ToPrimary {
    /// "I want to serve this address." Answered by the [`Reply`] with the same `seq`.
    Listen {
        /// Chosen by the worker; comes back in the reply.
        seq: u32,
        /// The address, and how to bind it.
        query: Query,
        /// What the worker's server shares with the servers of other workers (TLS ticket keys). See
        /// [`check_data`].
        data: Option<serde_json::Value>,
        /// Whether the server speaks HTTP/1 without TLS, so that it can serve connections that have waited
        /// in the engine since other workers left them.
        #[serde(default)]
        is_http: bool,
    },
    /// "My server on this listener is closed, and so is what I had of its socket." Answered by
    /// [`ToWorker::Closed`].
    Close {
        /// The listener left.
        listener: ListenerId,
    },
    /// "I can't serve this connection", whose descriptor comes with the packet.
    Return {
        /// The listener that accepted the connection.
        listener: ListenerId,
    },
    /// "This connection is idle. It can wait in the engine until its client sends something, and then go
    /// to another worker." Its descriptor comes with the packet; the worker has closed its own. Only a
    /// worker that drains sends this.
    Park {
        /// The listener that accepted the connection.
        listener: ListenerId,
        /// For how long the client may expect the connection to stay open, in milliseconds; `None` if
        /// that has no end.
        left: Option<u32>,
    },
    /// "My program is ready to serve."
    Ready,
    /// "I drain, and have no connection open any more, so I disconnect."
    Drained,
    /// "My own socket of this listener no longer listens." Answered by [`ToWorker::Socket`] if the
    /// worker serves the listener.
    Lost {
        /// The listener.
        listener: ListenerId,
    },
    /// "I have a TLS server: tell me the keys of session tickets, now and whenever they change." Answered by
    /// [`ToWorker::TicketKeys`].
    TicketKeys,
    /// "My event loop runs": the answer to [`ToWorker::Probe`].
    Alive,
    /// "I have no descriptor for another connection, and take and accept none until
    /// [`ToPrimary::Recovered`]."
    Exhausted,
    /// "I have descriptors again, and take and accept connections."
    Recovered,
    /// "I have closed the IPC channel, but something else keeps my event loop alive, so I do not exit."
    Staying,
    /// "I can't load the addon, and exit." JavaScript sends this, because it can't use the addon.
    Unable {
        /// Why, for people.
        reason: String,
    },
}

/// What the engine tells a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase")]
pub enum ToWorker {
    /// The answer to [`ToPrimary::Listen`].
    Reply(Reply),
    /// The answer to [`ToPrimary::Close`]: "I have closed what I had open of the listener for you
    /// alone."
    Closed {
        /// The listener left.
        listener: ListenerId,
    },
    /// The answer to [`ToPrimary::Lost`]: another socket of the worker's own, whose descriptor comes
    /// with the packet.
    Socket {
        /// The listener.
        listener: ListenerId,
        /// As in [`SocketKind::Own`].
        slot: Option<u8>,
    },
    /// "Does your event loop run?" The worker answers with [`ToPrimary::Alive`].
    Probe,
    /// "Accept nothing from sockets of your own until [`ToWorker::Resume`]."
    Pause,
    /// "Accept again."
    Resume,
    /// "Receive no datagrams until [`ToWorker::Admit`]: you are not ready, and others share their sockets."
    Withhold,
    /// "Receive datagrams."
    Admit,
    /// The keys of TLS session tickets. Servers make tickets by the first, and take those of all.
    TicketKeys {
        /// Each is 48 bytes in hexadecimal digits, as Node's `ticketKeys`.
        keys: Vec<Secret>,
    },
    /// "Finish what you have, and leave. Accept nothing more." Sent again when the time gets shorter.
    Drain(DrainOrder),
}

/// How a worker is to drain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainOrder {
    /// How long the worker has before the engine ends it, in milliseconds.
    pub time_left: u32,
    /// Why it drains, in the program's words; at most [`MAX_REASON`] bytes of UTF-8.
    pub reason: Option<String>,
    /// The listeners of which other workers can take idle HTTP connections.
    pub takers: Vec<ListenerId>,
}

/// The engine's answer to [`ToPrimary::Listen`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The `seq` of the request.
    pub seq: u32,
    /// How many messages the primary had sent to the worker before this reply.
    pub after: u64,
    /// 0, or a negated errno: why the address could not be bound.
    pub errno: i32,
    /// The listener to serve; meaningless after an error.
    pub listener: ListenerId,
    /// The kind of socket that comes with the reply, for the worker to accept from.
    pub socket: Option<SocketKind>,
    /// The bound address; only for TCP and UDP sockets.
    pub address: Option<BoundAddress>,
    /// What the listener's first worker offered as `data`.
    pub data: Option<serde_json::Value>,
}

/// A listening socket that comes with a [`Reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SocketKind {
    /// All workers of the listener have this one.
    Shared,
    /// The worker's own socket. The engine accepts from it too while the worker does not. The worker
    /// gets other connections of the listener by the hand-off queue.
    Own {
        /// The counter slot for its connections, less than
        /// [`COUNTER_SLOTS`]; `None` if all slots are in use.
        slot: Option<u8>,
    },
}

/// A socket's own address, as Node's `getsockname` returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundAddress {
    /// The IP address, in text.
    pub address: String,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// The port, never 0.
    pub port: u16,
}

/// What a server asked to listen on, as Node's `net` and `dgram` pass it to `_getServer`.
///
/// Two workers that ask for equal queries share a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What kind of address it is.
    pub target: Target,
    /// How many connections the kernel may queue; 0 means Node's default, 511.
    pub backlog: u32,
    /// Bind IPv6 only, even where the address allows both.
    pub ipv6_only: bool,
    /// Let others share the UDP port too (`reuseAddr` of `dgram`).
    pub reuse_address: bool,
    /// Let several sockets bind the port (`reusePort`, Linux and the BSDs).
    pub reuse_port: bool,
    /// Make the Unix socket readable for all users.
    pub readable_all: bool,
    /// Make the Unix socket writable for all users.
    pub writable_all: bool,
    /// Distinguishes several `listen(0)` of one worker; 0 for all other ports.
    pub index: u32,
}

impl Query {
    /// A query for this address, with defaults for the rest.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            backlog: 0,
            ipv6_only: false,
            reuse_address: false,
            reuse_port: false,
            readable_all: false,
            writable_all: false,
            index: 0,
        }
    }
}

/// The address of a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A TCP port; without an address, all of them: `::`, or `0.0.0.0` where IPv6 is missing.
    Tcp {
        /// An IPv4 or IPv6 address in text, the latter with an optional `%zone`.
        address: Option<String>,
        /// 0 lets the kernel choose.
        port: u16,
    },
    /// A UDP port.
    Udp {
        /// As for TCP; without an address, the wildcard of the family.
        address: Option<String>,
        /// 0 lets the kernel choose.
        port: u16,
        /// `udp6` rather than `udp4`.
        ipv6: bool,
    },
    /// A Unix socket: an absolute path, or an abstract name that begins with `\0`.
    Unix {
        /// The path or the name.
        path: String,
    },
    /// A descriptor of the primary.
    Descriptor {
        /// Its number there.
        fd: i32,
        /// Whether it should carry datagrams, instead of accepting connections.
        datagrams: bool,
    },
}

impl Target {
    /// Whether a socket there carries datagrams, instead of accepting connections.
    pub fn has_datagrams(&self) -> bool {
        matches!(self, Self::Udp { .. } | Self::Descriptor { datagrams: true, .. })
    }
}

/// The bytes of one packet.
///
/// # Errors
/// When the packet would exceed [`MAX_PACKET`], or `message` can't be serialized.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, ControlError> {
    let packet = serde_json::to_vec(message)?;
    if packet.len() > MAX_PACKET {
        return Err(ControlError::TooLong(packet.len()));
    }
    Ok(packet)
}

/// Checks the size of what a server shares with those of other workers.
///
/// # Errors
/// When its JSON, written by this process, exceeds [`MAX_DATA`]. That may be longer than the JSON that
/// was read.
pub fn check_data(data: Option<&serde_json::Value>) -> Result<(), ControlError> {
    let length = serde_json::to_vec(&data)?.len();
    if length > MAX_DATA { Err(ControlError::TooMuchData(length)) } else { Ok(()) }
}

/// Parses a packet that was `length` bytes long; `packet` may have only the first [`MAX_PACKET`] of
/// them.
///
/// # Errors
/// When the packet is too long, or is not such a message.
pub fn decode<T: DeserializeOwned>(packet: &[u8], length: usize) -> Result<T, ControlError> {
    if length > MAX_PACKET {
        return Err(ControlError::TooLong(length));
    }
    Ok(serde_json::from_slice(packet)?)
}

/// Parses a request. A request that is too long is not parsed, because that would take long too.
///
/// # Errors
/// As [`decode`]; also when the request is longer than its kind can be.
pub fn decode_request(packet: &[u8], length: usize) -> Result<ToPrimary, ControlError> {
    if length > SHORT && !LONG.iter().any(|begin| packet.starts_with(begin)) {
        return Err(ControlError::TooLongRequest(length));
    }
    decode(packet, length)
}

/// Why a control packet could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// More bytes than [`MAX_PACKET`].
    #[error("a control packet of {0} bytes exceeds the limit of {MAX_PACKET}")]
    TooLong(usize),
    /// More bytes than [`SHORT`].
    #[error("a request of {0} bytes exceeds the limit of {SHORT}")]
    TooLongRequest(usize),
    /// More `data` than [`MAX_DATA`].
    #[error("{0} bytes of data for other workers exceed the limit of {MAX_DATA}")]
    TooMuchData(usize),
    /// Not the expected JSON.
    #[error("a control packet is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_orders_round_trip() {
        let requests = [
            ToPrimary::Listen {
                seq: 7,
                query: Query::new(Target::Tcp { address: None, port: 8000 }),
                data: Some(serde_json::json!({ "ticketKeys": "00ff" })),
                is_http: true,
            },
            ToPrimary::Listen {
                seq: 8,
                query: Query::new(Target::Unix { path: "\0abstract ☃".into() }),
                data: None,
                is_http: false,
            },
            ToPrimary::Close { listener: u32::MAX },
            ToPrimary::Return { listener: u32::MAX },
            ToPrimary::Park { listener: u32::MAX, left: Some(u32::MAX) },
            ToPrimary::Park { listener: 1, left: None },
            ToPrimary::Drained,
            ToPrimary::Lost { listener: u32::MAX },
            ToPrimary::TicketKeys,
            ToPrimary::Alive,
            ToPrimary::Exhausted,
            ToPrimary::Recovered,
            ToPrimary::Staying,
            ToPrimary::Unable { reason: "x".repeat(1000) },
        ];
        for request in requests {
            let packet = encode(&request).unwrap();
            assert_eq!(decode_request(&packet, packet.len()).unwrap(), request);
        }
        let reply = |errno, socket| Reply { seq: 7, errno, socket, ..Reply::default() };
        let kinds = [SocketKind::Shared, SocketKind::Own { slot: Some(63) }];
        let given = kinds.map(|kind| ToWorker::Reply(reply(0, Some(kind))));
        let plain = [
            ToWorker::Reply(reply(-98, None)),
            ToWorker::Closed { listener: 3 },
            ToWorker::Socket { listener: 3, slot: Some(63) },
            ToWorker::Probe,
            ToWorker::Pause,
            ToWorker::Resume,
            ToWorker::Withhold,
            ToWorker::Admit,
            ToWorker::TicketKeys { keys: vec!["00ff".into(), "ff00".into()] },
            ToWorker::Drain(DrainOrder {
                time_left: u32::MAX,
                reason: Some("\u{1}".repeat(MAX_REASON)),
                takers: vec![u32::MAX; 1024],
            }),
        ];
        for order in given.into_iter().chain(plain) {
            let packet = encode(&order).unwrap();
            assert_eq!(decode::<ToWorker>(&packet, packet.len()).unwrap(), order);
        }
    }

    #[test]
    fn a_number_that_a_server_offers_reaches_its_siblings_as_it_is() {
        let offer = r#"{"act":"reply","seq":1,"after":2,"errno":0,"listener":1,"socket":null,
            "data":22222200000000000000000000000000000000000005388306754169500102}"#;
        let order = decode::<ToWorker>(offer.as_bytes(), offer.len()).unwrap();
        let packet = encode(&order).unwrap();
        assert_eq!(decode::<ToWorker>(&packet, packet.len()).unwrap(), order);
    }

    #[test]
    fn a_request_is_no_longer_than_its_kind() {
        let padded = |act: &str| format!(r#"{{"act":"{act}","x":"{}"}}"#, "x".repeat(SHORT));
        for act in ["alive", "exhausted", "return", "listens"] {
            let packet = padded(act);
            let decoded = decode_request(packet.as_bytes(), packet.len());
            assert!(matches!(decoded, Err(ControlError::TooLongRequest(_))), "{decoded:?}");
        }
        let spaced = format!("{}{{\"act\":\"alive\"}}", " ".repeat(SHORT));
        let decoded = decode_request(spaced.as_bytes(), spaced.len());
        assert!(matches!(decoded, Err(ControlError::TooLongRequest(_))), "{decoded:?}");
    }

    #[test]
    fn garbage_and_giants_are_errors() {
        for garbage in [b"".as_slice(), b"{\"act\":\"fork\"}", &[0xff; 16]] {
            assert!(decode::<ToPrimary>(garbage, garbage.len()).is_err());
        }
        let long = decode::<ToPrimary>(b"{", MAX_PACKET + 1);
        assert!(matches!(long, Err(ControlError::TooLong(_))));
        let giant = ToPrimary::Listen {
            is_http: false,
            seq: 1,
            query: Query::new(Target::Unix { path: "x".repeat(MAX_PACKET) }),
            data: None,
        };
        assert!(matches!(encode(&giant), Err(ControlError::TooLong(_))));
    }
}

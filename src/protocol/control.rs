//! The control socket: small, rare packets of JSON, readable in a trace.
//!
//! A [`ToPrimary`] goes from the worker to the primary's engine, an [`ToWorker`] from there to the worker.
//! A packet may carry one descriptor: a returned connection with [`ToPrimary::Return`], a
//! listening socket with [`ToWorker::Reply`] and [`ToWorker::Socket`].

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ListenerId;

/// The largest packet either side accepts. A bind address, a path and the TLS ticket keys are all
/// that ever goes into one.
pub const MAX_PACKET: usize = 64 * 1024;

/// The longest `data` of [`ToPrimary::Listen`], as JSON. It comes back in the replies to others, with more
/// beside it.
pub const MAX_DATA: usize = 16 * 1024;

/// The longest [`ToPrimary`] but those that say what begins, [`ToPrimary::Listen`] and [`ToPrimary::Unable`].
pub const SHORT: usize = 64;

/// How the packets of requests begin that may be longer than [`SHORT`].
const LONG: [&[u8]; 2] = [br#"{"act":"listen","#, br#"{"act":"unable","#];

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
        /// The address, with all that decides how to bind it.
        query: Query,
        /// What the worker's server offers to its siblings (TLS ticket keys). See [`check_data`].
        data: Option<serde_json::Value>,
    },
    /// "My server on this listener is closed, and so is what I had of its socket." Answered by
    /// [`ToWorker::Closed`].
    Close {
        /// The listener left.
        listener: ListenerId,
    },
    /// "I can't serve this connection of yours": its descriptor comes along.
    Return {
        /// The listener that accepted the connection.
        listener: ListenerId,
    },
    /// "My own socket of this listener listens no more." Answered by [`ToWorker::Socket`] if the worker serves
    /// the listener.
    Lost {
        /// The listener.
        listener: ListenerId,
    },
    /// "My event loop turns": the answer to [`ToWorker::Probe`].
    Alive,
    /// "I have no descriptor for another connection, and take and accept none until I say
    /// [`ToPrimary::Recovered`]."
    Exhausted,
    /// "I have descriptors again, and take and accept connections."
    Recovered,
    /// "I have closed the IPC channel, and something else holds my event loop: I do not exit."
    Staying,
    /// "I can't load the addon, and exit." From JavaScript, which is all there is then.
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
    /// The answer to [`ToPrimary::Close`]: "What was open of the listener only for you is closed."
    Closed {
        /// The listener left.
        listener: ListenerId,
    },
    /// The answer to [`ToPrimary::Lost`]: another socket of the worker's own, which comes along.
    Socket {
        /// The listener.
        listener: ListenerId,
        /// As in [`SocketKind::Own`].
        slot: Option<u8>,
    },
    /// "Does your event loop turn?" To be answered by [`ToPrimary::Alive`].
    Probe,
    /// "Accept nothing from sockets of your own until [`ToWorker::Resume`]."
    Pause,
    /// "Accept again."
    Resume,
}

/// The engine's answer to [`ToPrimary::Listen`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Of the request.
    pub seq: u32,
    /// How many messages the primary has sent to the worker before.
    pub after: u64,
    /// 0, or a negated errno: why the address could not be bound.
    pub errno: i32,
    /// The listener to serve; meaningless after an error.
    pub listener: ListenerId,
    /// Whether a socket comes along, for the worker to accept from.
    pub socket: Option<SocketKind>,
    /// The bound address, of TCP and UDP sockets only.
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
    /// The worker's own, though the engine accepts from it too when the worker does not. Other
    /// connections of the listener come by the hand-off queue.
    Own {
        /// In which of its [`COUNTER_SLOTS`] the worker counts the connections that it accepts there; none
        /// if it has more sockets than slots.
        slot: Option<u8>,
    },
}

/// A socket's own address in the shape of Node's `getsockname`.
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
    /// Make the Unix socket readable for everybody.
    pub readable_all: bool,
    /// Make the Unix socket writable for everybody.
    pub writable_all: bool,
    /// Tells several `listen(0)` of one worker apart; 0 for all other ports.
    pub index: u32,
}

impl Query {
    /// A query for this address, and nothing special.
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
        /// Whether it is to carry datagrams, rather than to accept connections.
        datagrams: bool,
    },
}

impl Target {
    /// Whether a socket there carries datagrams, rather than accepts connections.
    pub fn has_datagrams(&self) -> bool {
        matches!(self, Self::Udp { .. } | Self::Descriptor { datagrams: true, .. })
    }
}

/// The bytes of one packet.
///
/// # Errors
/// When the packet would exceed [`MAX_PACKET`], or `message` does not serialize.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, ControlError> {
    let packet = serde_json::to_vec(message)?;
    if packet.len() > MAX_PACKET {
        return Err(ControlError::TooLong(packet.len()));
    }
    Ok(packet)
}

/// Checks what is to be offered to siblings.
///
/// # Errors
/// When it exceeds [`MAX_DATA`] once it is written again, which may take more bytes than it came in.
pub fn check_data(data: Option<&serde_json::Value>) -> Result<(), ControlError> {
    let length = serde_json::to_vec(&data)?.len();
    if length > MAX_DATA { Err(ControlError::TooMuchData(length)) } else { Ok(()) }
}

/// The message of a packet that was `length` bytes long, of which [`MAX_PACKET`] are enough.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode<T: DeserializeOwned>(packet: &[u8], length: usize) -> Result<T, ControlError> {
    if length > MAX_PACKET {
        return Err(ControlError::TooLong(length));
    }
    Ok(serde_json::from_slice(packet)?)
}

/// The request of a packet. One that is too long is not looked at any further: reading it takes long as well.
///
/// # Errors
/// As [`decode`], and when the request is longer than any of its kind.
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
    /// Not the JSON it should be.
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
            },
            ToPrimary::Listen {
                seq: 8,
                query: Query::new(Target::Unix { path: "\0abstract ☃".into() }),
                data: None,
            },
            ToPrimary::Close { listener: u32::MAX },
            ToPrimary::Return { listener: u32::MAX },
            ToPrimary::Lost { listener: u32::MAX },
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
            seq: 1,
            query: Query::new(Target::Unix { path: "x".repeat(MAX_PACKET) }),
            data: None,
        };
        assert!(matches!(encode(&giant), Err(ControlError::TooLong(_))));
    }
}

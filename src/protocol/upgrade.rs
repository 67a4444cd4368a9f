//! What two primaries tell each other while one takes the place of the other: small packets of JSON, readable in a
//! trace, some of them with one descriptor.
//!
//! The old primary (the predecessor) starts the new one (the successor) with one end of a lane of packets:
//!
//! ```text
//!   successor                               predecessor
//!     Hello            ------------------->            which protocols it speaks
//!                      <-------------------  Welcome   or Refused
//!                      <-------------------  Listener, Socket*, Operator*, TicketKeys, Counted*, Parent, Offered
//!     Ready            ------------------->            its workers are well; or Failed
//!                      <-------------------  Commit    the old one accepts no more
//!     Serving          ------------------->            the new one accepts
//!                      <-------------------  Connection*, Parked*, Counted*
//!                      <-------------------  Main      it may speak for the service
//!                      <-------------------  Connection*, Parked*, Counted*, until the old workers have ended
//!                      <-------------------  Done
//! ```
//!
//! Before `Serving` the old primary can go on as if nothing had happened. The end of the lane says that the other one
//! is gone: a successor that was offered everything then serves.
//!
//! Where the first primary has to stay, because whatever watches it knows only that process, it becomes the parent of
//! all later ones. The lane that comes with `Parent` leads to it: each primary passes its end on to the next one, and
//! tells on it which process is the primary ([`ToParent`]). The parent hears the end of the lane when no primary is left.
//!
//! Both ends may be of different releases. Within one version of the protocol, fields may be added that have defaults,
//! and unknown fields are ignored; all else takes a new version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ListenerId, control::BoundAddress, control::Query, secret::Secret};

/// The oldest version of the protocol that this release speaks.
pub const OLDEST: u32 = 1;

/// The newest one.
pub const NEWEST: u32 = 1;

/// The newest version that two primaries have in common, if there is one, where the successor speaks these.
pub fn common(oldest: u32, newest: u32) -> Option<u32> {
    let version = newest.min(NEWEST);
    (version >= oldest.max(OLDEST)).then_some(version)
}

/// What the new primary tells the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase")]
pub enum ToPredecessor {
    /// "I speak these versions of the protocol." The first message.
    Hello {
        /// The oldest version.
        oldest: u32,
        /// The newest version.
        newest: u32,
        /// The version of this package.
        version: String,
        /// The version of Node, such as `v20.20.2`.
        node: String,
    },
    /// "My workers are ready and well."
    Ready {
        /// Where they listen, of what was offered.
        takes: Vec<Taken>,
    },
    /// "I give up, and end."
    Failed {
        /// Why, for people; at most [`MAX_REASON`] bytes.
        reason: String,
    },
    /// The answer to [`ToSuccessor::Commit`]: "I accept connections."
    Serving,
}

/// A listener that workers of the new primary serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// As offered.
    pub listener: ListenerId,
    /// Whether a worker serves HTTP/1 without TLS there, so that it can take idle connections.
    #[serde(default)]
    pub is_http: bool,
}

/// What the old primary tells the new one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase")]
pub enum ToSuccessor {
    /// The answer to [`ToPredecessor::Hello`].
    Welcome {
        /// The version that both speak from now on.
        protocol: u32,
        /// The version of the old primary's package.
        version: String,
        /// Its version of Node.
        node: String,
        /// Its process.
        pid: u32,
        /// The generation of its workers. Those of the new one are of the next.
        generation: u32,
    },
    /// "There is no common version", or why else nothing is offered.
    Refused {
        /// For people.
        reason: String,
    },
    /// An address that workers listen on. Its sockets follow.
    Listener(Listener),
    /// A listening socket, which comes with the packet.
    Socket {
        /// Of this listener.
        listener: ListenerId,
    },
    /// A listening socket on which operators ask, which comes with the packet.
    Operator {
        /// Which one.
        kind: OperatorKind,
        /// A path, or `address:port`.
        address: String,
    },
    /// The keys of TLS session tickets, the current one first.
    TicketKeys {
        /// At most a few.
        keys: Vec<TicketKey>,
    },
    /// What the old primary has counted, to be added to what the new one counts.
    Counted(Counted),
    /// A lane to the process that stays the parent of all primaries comes with the packet.
    Parent,
    /// "That is all that I have."
    Offered,
    /// "I accept no more; accept." Answered by [`ToPredecessor::Serving`].
    Commit,
    /// "You are the main process of the service."
    Main,
    /// An accepted connection that no worker has served, which comes with the packet.
    Connection {
        /// The listener.
        listener: ListenerId,
        /// Whether it was at a worker that serves HTTP before.
        #[serde(default)]
        prefers_http: bool,
    },
    /// An idle connection that waits for its client, which comes with the packet.
    Parked {
        /// The listener.
        listener: ListenerId,
        /// For how long the client may expect the connection to stay open, in milliseconds; `None` if that has no
        /// end.
        left: Option<u32>,
    },
    /// "My workers have ended; nothing else comes."
    Done,
}

/// What primaries tell the process that stays their parent. No versions are negotiated for this, because the parent may be
/// of any earlier release: the messages stay as they are, and the parent ignores those that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "camelCase")]
pub enum ToParent {
    /// "This process is the primary now." Sent by the old one when the new one serves, and by the new one when it may
    /// speak for the service: the old one may have ended in between.
    Successor {
        /// The new primary.
        pid: u32,
    },
    /// "My successor has ended." As long as the old primary lives, only that knows how.
    Ended {
        /// The successor.
        pid: u32,
        /// Its exit code.
        #[serde(default)]
        code: Option<i32>,
        /// The signal that has ended it.
        #[serde(default)]
        signal: Option<i32>,
    },
}

/// An address that workers listen on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Names it in what follows.
    pub listener: ListenerId,
    /// What workers have asked for.
    pub query: Query,
    /// Where that is bound; only for TCP and UDP sockets.
    pub address: Option<BoundAddress>,
    /// What its first worker offered to the others.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
    /// Whether the file of a Unix socket is to be removed when the socket closes.
    #[serde(default)]
    pub has_file: bool,
    /// Whether the socket was given by the service manager, which keeps it.
    #[serde(default)]
    pub is_activated: bool,
    /// Whether no supervised worker of the old primary listens on it, so that none of the new one is expected to.
    #[serde(default)]
    pub is_unserved: bool,
    /// How many sockets it has.
    pub sockets: u32,
}

/// For which operators a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperatorKind {
    /// The control socket.
    Control,
    /// The admin endpoint.
    Admin,
}

/// A key of TLS session tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketKey {
    /// 48 bytes in hexadecimal digits: the name, the key of the HMAC, and that of AES, 16 each.
    pub key: Secret,
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
}

/// Counts that go on: to be added to those of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// Of what.
    pub of: CountedOf,
    /// By name. Names that a release does not know are ignored.
    pub counts: BTreeMap<String, u64>,
    /// The buckets of a histogram, if there is one.
    #[serde(default)]
    pub buckets: Vec<u64>,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CountedOf {
    /// The workers of one slot.
    Slot(u32),
    /// An address, as people read it.
    Address(String),
    /// Everything.
    Program,
}

/// The longest reason of [`ToPredecessor::Failed`] and [`ToSuccessor::Refused`], in bytes. Each may take six bytes of
/// JSON.
pub const MAX_REASON: usize = 8192;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::*;
    use crate::protocol::control::{Target, decode, encode};

    #[test]
    fn the_newest_common_version_is_spoken() {
        assert_eq!(common(1, 1), Some(1));
        assert_eq!(common(1, 7), Some(NEWEST));
        assert_eq!(common(NEWEST + 1, NEWEST + 3), None);
        assert_eq!(common(0, OLDEST - 1), None);
        assert_eq!(common(3, 1), None);
    }

    /// What version 1 looks like. A release that changes this speaks another version.
    fn version_1() -> [(ToSuccessor, Value); 13] {
        let query = Query::new(Target::Tcp { address: None, port: 8000 });
        let listener = Listener {
            listener: 3,
            query,
            address: Some(BoundAddress { address: "::".into(), family: "IPv6".into(), port: 8000 }),
            data: Some(json!({ "key": "value" })),
            has_file: false,
            is_activated: false,
            is_unserved: false,
            sockets: 2,
        };
        let counted = Counted {
            of: CountedOf::Slot(1),
            counts: [("accepted".into(), 5)].into(),
            buckets: vec![1, 2],
        };
        [
            (
                ToSuccessor::Welcome {
                    protocol: 1,
                    version: "0.1.0".into(),
                    node: "v20.20.2".into(),
                    pid: 7,
                    generation: 4,
                },
                json!({ "act": "welcome", "protocol": 1, "version": "0.1.0", "node": "v20.20.2", "pid": 7, "generation": 4 }),
            ),
            (
                ToSuccessor::Refused { reason: "no".into() },
                json!({ "act": "refused", "reason": "no" }),
            ),
            (
                ToSuccessor::Listener(listener),
                json!({
                    "act": "listener",
                    "listener": 3,
                    "query": {
                        "target": { "tcp": { "address": null, "port": 8000 } },
                        "backlog": 0,
                        "ipv6_only": false,
                        "reuse_address": false,
                        "reuse_port": false,
                        "readable_all": false,
                        "writable_all": false,
                        "index": 0,
                    },
                    "address": { "address": "::", "family": "IPv6", "port": 8000 },
                    "data": { "key": "value" },
                    "hasFile": false,
                    "isActivated": false,
                    "isUnserved": false,
                    "sockets": 2,
                }),
            ),
            (ToSuccessor::Socket { listener: 3 }, json!({ "act": "socket", "listener": 3 })),
            (
                ToSuccessor::Operator {
                    kind: OperatorKind::Admin,
                    address: "127.0.0.1:9100".into(),
                },
                json!({ "act": "operator", "kind": "admin", "address": "127.0.0.1:9100" }),
            ),
            (
                ToSuccessor::TicketKeys { keys: vec![TicketKey { key: "00".into(), made: 9 }] },
                json!({ "act": "ticketKeys", "keys": [{ "key": "00", "made": 9 }] }),
            ),
            (
                ToSuccessor::Counted(counted),
                json!({ "act": "counted", "of": { "slot": 1 }, "counts": { "accepted": 5 }, "buckets": [1, 2] }),
            ),
            (ToSuccessor::Parent, json!({ "act": "parent" })),
            (ToSuccessor::Offered, json!({ "act": "offered" })),
            (ToSuccessor::Commit, json!({ "act": "commit" })),
            (ToSuccessor::Main, json!({ "act": "main" })),
            (
                ToSuccessor::Connection { listener: 3, prefers_http: true },
                json!({ "act": "connection", "listener": 3, "prefers_http": true }),
            ),
            (
                ToSuccessor::Parked { listener: 3, left: Some(5000) },
                json!({ "act": "parked", "listener": 3, "left": 5000 }),
            ),
        ]
    }

    #[test]
    fn version_1_stays_what_it_is() {
        for (message, wanted) in version_1() {
            assert_eq!(to_value(&message).unwrap(), wanted);
            let packet = encode(&message).unwrap();
            assert_eq!(decode::<ToSuccessor>(&packet, packet.len()).unwrap(), message);
        }
        assert_eq!(to_value(ToSuccessor::Done).unwrap(), json!({ "act": "done" }));
        let hello =
            ToPredecessor::Hello { oldest: 1, newest: 1, version: "1".into(), node: "v1".into() };
        let taken = vec![Taken { listener: 3, is_http: true }];
        let messages = [
            (
                hello,
                json!({ "act": "hello", "oldest": 1, "newest": 1, "version": "1", "node": "v1" }),
            ),
            (
                ToPredecessor::Ready { takes: taken },
                json!({ "act": "ready", "takes": [{ "listener": 3, "isHttp": true }] }),
            ),
            (
                ToPredecessor::Failed { reason: "no".into() },
                json!({ "act": "failed", "reason": "no" }),
            ),
            (ToPredecessor::Serving, json!({ "act": "serving" })),
        ];
        for (message, wanted) in messages {
            assert_eq!(to_value(&message).unwrap(), wanted);
        }
    }

    #[test]
    fn what_the_parent_is_told_stays_what_it_is() {
        let ended = |code, signal| ToParent::Ended { pid: 8, code, signal };
        let messages = [
            (ToParent::Successor { pid: 7 }, r#"{"act":"successor","pid":7}"#),
            (ended(Some(1), None), r#"{"act":"ended","pid":8,"code":1,"signal":null}"#),
            (ended(None, Some(9)), r#"{"act":"ended","pid":8,"code":null,"signal":9}"#),
        ];
        for (message, wanted) in messages {
            let packet = encode(&message).unwrap();
            assert_eq!(String::from_utf8_lossy(&packet), wanted);
            assert_eq!(decode::<ToParent>(&packet, packet.len()).unwrap(), message);
        }
        let packet = br#"{"act":"ended","pid":8,"later":1}"#;
        assert_eq!(decode::<ToParent>(packet, packet.len()).unwrap(), ended(None, None));
    }

    #[test]
    fn fields_may_be_missing_that_have_defaults_and_unknown_ones_are_ignored() {
        let packet = br#"{"act":"connection","listener":3,"later":[1]}"#;
        let message: ToSuccessor = decode(packet, packet.len()).unwrap();
        assert_eq!(message, ToSuccessor::Connection { listener: 3, prefers_http: false });
        let packet = br#"{"act":"later"}"#;
        decode::<ToSuccessor>(packet, packet.len()).unwrap_err();
    }
}

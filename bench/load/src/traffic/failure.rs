//! What can be wrong with a request, from its client's point of view.

use std::{fmt, io};

use serde::Serialize;

/// The kinds of failures, of which each is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Class {
    /// The connection was refused.
    Refused,
    /// The connection was reset before the answer.
    Reset,
    /// The connection was closed, by FIN, before the answer.
    Closed,
    /// The connection was reset or closed within the answer.
    Truncated,
    /// The answer is not the one of this request.
    WrongBody,
    /// The answer has a status that the program does not send.
    Status,
    /// The answer did not come in time.
    Timeout,
    /// The answer of this request has come before.
    Twice,
    /// Something came that no request had asked for, such as the status 408.
    Unsolicited,
    /// An HTTP/2 stream was refused although the server said that it would answer it, or said nothing.
    RefusedStream,
    /// The other side does not keep to the protocol.
    Protocol,
    /// This program's own fault: it has no descriptor or no port left.
    Client,
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, formatter)
    }
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// What happened, for people.
    pub(crate) what: String,
}

impl Failure {
    pub(crate) fn new(class: Class, what: impl Into<String>) -> Self {
        Self { class, what: what.into() }
    }

    /// A connection attempt that failed.
    pub(crate) fn of_connecting(error: &io::Error) -> Self {
        let class = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Class::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Class::Reset,
            io::ErrorKind::UnexpectedEof => Class::Closed,
            io::ErrorKind::TimedOut => Class::Timeout,
            io::ErrorKind::InvalidData => Class::Protocol,
            _ => Class::Client,
        };
        Self::new(class, format!("connecting: {error}"))
    }

    /// A connection that failed before anything of the answer came.
    pub(crate) fn before_answer(error: &io::Error) -> Self {
        let class = match error.kind() {
            io::ErrorKind::UnexpectedEof => Class::Closed,
            io::ErrorKind::InvalidData => Class::Protocol,
            _ => Class::Reset,
        };
        Self::new(class, error.to_string())
    }

    /// A connection that failed within the answer.
    pub(crate) fn within_answer(error: &io::Error) -> Self {
        let class = match error.kind() {
            io::ErrorKind::InvalidData => Class::Protocol,
            _ => Class::Truncated,
        };
        Self::new(class, format!("within the answer: {error}"))
    }

    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::new(Class::Protocol, what)
    }
}

//! The errors of the core.

use std::io;

use crate::{
    protocol::{control::ControlError, frame::FrameError, handle::HandleType},
    sys::{failure::Fault, spawn::Refused},
};

/// What can go wrong between a primary and its workers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed. Which one, and the errno, are both in the text.
    #[error("{syscall}: {source}")]
    System {
        /// The call that failed.
        syscall: &'static str,
        /// With the errno.
        source: io::Error,
    },
    /// A system call on a lane failed in a way that does not get better by itself.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The peer has closed its end of a lane, or died.
    #[error("the other process is gone")]
    Gone,
    /// The peer lives, and has closed the half of the message lane that it reads from.
    #[error("the message lane is not read by the other process")]
    NotRead,
    /// The peer sent bytes on the message lane that are no frames.
    #[error("the message lane carries garbage: {0}")]
    Frame(#[from] FrameError),
    /// The peer sent bytes on the message lane that are no text.
    #[error("the message lane carries a message that is not UTF-8")]
    NotText,
    /// The peer has spoilt the memory of the message lane.
    #[error("the message lane's memory carries garbage")]
    Memory,
    /// The peer sent a frame by the stream that belongs into the memory.
    #[error("the message lane carries a frame out of order")]
    Unexpected,
    /// The peer announced a descriptor on the message lane, and sent none.
    #[error("the message lane carries a message whose handle did not come")]
    NoHandle,
    /// The peer sent a descriptor on the message lane that is not what it said.
    #[error("the message lane carries a handle that is no {0:?}")]
    WrongHandle(HandleType),
    /// The peer sent a descriptor on the message lane, and did not say what it is.
    #[error("the message lane carries a handle that belongs to no message")]
    UnclaimedHandle,
    /// The peer sent bytes on the control lane that are no message.
    #[error("the control lane carries garbage: {0}")]
    Control(#[from] ControlError),
    /// The worker sent a descriptor on the control lane with a request that has none.
    #[error("the control lane carries a descriptor that belongs to no request")]
    StrayDescriptor,
    /// The worker returned a connection that it can't have.
    #[error("the control lane carries a returned connection that {0}")]
    NotItsConnection(&'static str),
    /// The worker has, or asks for, more than a worker may.
    #[error("the worker exceeds the limit of {1} {0}")]
    Quota(&'static str, usize),
    /// The peer sent something on the connection lane that is no connection, or the worker anything
    /// at all.
    #[error("the connection lane carries garbage")]
    Connection,
    /// The worker asks, and does not read the answers.
    #[error("the control lane is full of orders that nobody reads")]
    Unread,
    /// The worker has ended its control lane, and goes on.
    #[error("the control lane has ended, and its worker goes on")]
    Ended,
    /// The worker can't load the addon, and says why.
    #[error("{0}")]
    Unable(String),
    /// The engine thread could not be started, or is gone.
    #[error("the engine has stopped")]
    Stopped,
}

impl Error {
    /// Names the system call that failed.
    pub fn system(syscall: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { syscall, source }
    }
}

impl From<Refused> for Error {
    fn from(Refused { syscall, source }: Refused) -> Self {
        Self::System { syscall, source }
    }
}

/// A result with our [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

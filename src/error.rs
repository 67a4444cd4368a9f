//! The errors of the core.

use std::io;

use crate::{
    protocol::{control::ControlError, frame::FrameError, handle::HandleType},
    sys::{failure::Fault, spawn::Refused},
};

/// What can go wrong between a primary and its workers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed. The text names the call and the errno.
    #[error("{syscall}: {source}")]
    System {
        /// The call that failed.
        syscall: &'static str,
        /// Why, with the errno.
        source: io::Error,
    },
    /// A system call on a lane failed, and trying again would not help.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The peer has closed its end of a lane, or died.
    #[error("the other process is gone")]
    Gone,
    /// The peer is alive, but has closed the half of the IPC channel that it reads from.
    #[error("the other process does not read the IPC channel")]
    NotRead,
    /// The peer sent bytes on the IPC channel that are not frames.
    #[error("invalid data on the IPC channel: {0}")]
    Frame(#[from] FrameError),
    /// The peer sent bytes on the IPC channel that are not text: UTF-8, or UTF-16 in pairs of bytes.
    #[error("a message on the IPC channel is not valid UTF-8 or UTF-16")]
    NotText,
    /// The peer has written invalid data into the shared memory of the IPC channel.
    #[error("invalid data in the shared memory of the IPC channel")]
    Memory,
    /// The peer sent a frame by the stream that should have come by the memory.
    #[error("a frame on the IPC channel is out of order")]
    Unexpected,
    /// The peer announced a descriptor on the IPC channel, but sent none.
    #[error("a message on the IPC channel came without its handle")]
    NoHandle,
    /// The peer sent a descriptor on the IPC channel that is not of the type it announced.
    #[error("a handle on the IPC channel is not a {0:?}")]
    WrongHandle(HandleType),
    /// The peer sent a descriptor on the IPC channel without announcing it.
    #[error("a handle on the IPC channel belongs to no message")]
    UnclaimedHandle,
    /// The peer sent bytes on the control socket that are not a message.
    #[error("invalid data on the control socket: {0}")]
    Control(#[from] ControlError),
    /// The worker sent a descriptor with a request that takes none.
    #[error("a descriptor on the control socket belongs to no request")]
    StrayDescriptor,
    /// The worker returned a connection that it can't have. The text completes the sentence after
    /// "that".
    #[error("the worker returned a connection that {0}")]
    NotItsConnection(&'static str),
    /// The worker exceeds a limit: what is limited, and to how many.
    #[error("the worker exceeds the limit of {1} {0}")]
    Quota(&'static str, usize),
    /// The primary sent something on the hand-off queue that is not a connection, or the worker sent
    /// anything at all there.
    #[error("invalid data on the hand-off queue")]
    Connection,
    /// The worker sends requests, but does not read the replies.
    #[error("the worker does not read its control socket")]
    Unread,
    /// The worker has closed its control socket, but its process still runs.
    #[error("the worker has closed its control socket, but still runs")]
    Ended,
    /// The worker can't load the addon. The text is its reason.
    #[error("{0}")]
    Unable(String),
    /// The primary before this one has sent what does not belong there.
    #[error("it has sent {0}, which does not belong there")]
    Predecessor(&'static str),
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

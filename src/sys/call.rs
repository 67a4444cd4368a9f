//! The system calls whose failures are classified, and the lanes that they are about.

use std::fmt;

use super::platform::watched::ADD_WATCH;

/// Which lane a system call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The stream of the IPC channel.
    Ipc,
    /// The control socket.
    Control,
    /// The hand-off queue.
    HandOff,
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ipc => "IPC channel",
            Self::Control => "control socket",
            Self::HandOff => "hand-off queue",
        })
    }
}

/// A system call whose failures [`Failure`](super::failure::Failure) classifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `sendmsg`.
    Send(Lane),
    /// `recvmsg`.
    Receive(Lane),
    /// `shutdown` of a lane.
    Shutdown(Lane),
    /// `accept4`.
    Accept,
    /// `poll` of a listening socket.
    Poll,
    /// `epoll_ctl`; `kevent` on macOS.
    Watch,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Send(Lane::Ipc),
        Self::Send(Lane::Control),
        Self::Send(Lane::HandOff),
        Self::Receive(Lane::Ipc),
        Self::Receive(Lane::Control),
        Self::Receive(Lane::HandOff),
        Self::Shutdown(Lane::Ipc),
        Self::Shutdown(Lane::Control),
        Self::Shutdown(Lane::HandOff),
        Self::Accept,
        Self::Poll,
        Self::Watch,
    ];
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(lane) => write!(formatter, "sendmsg on the {lane}"),
            Self::Receive(lane) => write!(formatter, "recvmsg on the {lane}"),
            Self::Shutdown(lane) => write!(formatter, "shutdown of the {lane}"),
            Self::Accept => formatter.write_str("accept"),
            Self::Poll => formatter.write_str("poll"),
            Self::Watch => formatter.write_str(ADD_WATCH),
        }
    }
}

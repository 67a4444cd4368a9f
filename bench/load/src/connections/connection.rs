//! One connection, from connecting until the server closes it.

use std::{
    net::SocketAddrV4,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use nix::{
    Result,
    errno::Errno,
    sys::{
        epoll::EpollFlags,
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, connect, recv, send, socket,
        },
    },
};

use super::load::Protocol;

/// How a connection ended, if it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The connection goes on.
    Waits,
    /// The server has answered and closed.
    Served,
    /// The server has closed without the answer.
    Unserved,
}

/// One of our connections. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    protocol: Protocol,
    sent: bool,
    matched: usize,
    /// When the connection should have started, however late it did.
    pub(crate) intended: Instant,
}

impl Connection {
    pub(crate) fn open(
        server: SocketAddrV4,
        protocol: Protocol,
        intended: Instant,
    ) -> Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        match connect(socket.as_raw_fd(), &SockaddrIn::from(server)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let sent = protocol.request().is_empty();
        let mut connection = Self { socket, protocol, sent, matched: 0, intended };
        // On a loopback device the connection is usually established already.
        connection.send()?;
        Ok(connection)
    }

    /// The events to wait for first.
    pub(crate) fn interest(&self) -> EpollFlags {
        let unsent = EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        EpollFlags::EPOLLIN | if self.sent { EpollFlags::empty() } else { unsent }
    }

    /// Does everything that is possible without waiting.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> Result<Progress> {
        self.send()?;
        loop {
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::empty()) {
                Ok(0) => return Ok(self.end()),
                Ok(count) => self.compare(&buffer[..count]),
                Err(Errno::EAGAIN) => return Ok(Progress::Waits),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self) -> Result<()> {
        if self.sent {
            return Ok(());
        }
        // Such a short request is sent as a whole, or not at all.
        match send(self.socket.as_raw_fd(), self.protocol.request(), MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => self.sent = true,
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn compare(&mut self, received: &[u8]) {
        let rest = &self.protocol.greeting()[self.matched..];
        self.matched += rest.iter().zip(received).take_while(|(a, b)| a == b).count();
    }

    fn end(&self) -> Progress {
        if self.matched == self.protocol.greeting().len() {
            Progress::Served
        } else {
            Progress::Unserved
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! One connection, from connect to the server's end of it.

use std::{
    net::SocketAddrV4,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use rustix::{
    event::epoll::EventFlags,
    io::{self, Errno},
    net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
};

use crate::load::Protocol;

/// How a connection ended, if it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It goes on.
    Waits,
    /// The server has answered and closed.
    Served,
    /// The server has closed without the answer.
    Unserved,
}

/// A connection of ours. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    protocol: Protocol,
    sent: bool,
    matched: usize,
    /// When it was to start, however late we were.
    pub(crate) intended: Instant,
}

impl Connection {
    pub(crate) fn open(
        server: SocketAddrV4,
        protocol: Protocol,
        intended: Instant,
    ) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match net::connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let sent = protocol.request().is_empty();
        let mut connection = Self { socket, protocol, sent, matched: 0, intended };
        // On a loopback device the connection mostly stands already.
        connection.send()?;
        Ok(connection)
    }

    /// What to wait for first.
    pub(crate) fn interest(&self) -> EventFlags {
        if self.sent { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT | EventFlags::ET }
    }

    /// Does what can be done now.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        self.send()?;
        loop {
            match net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(self.end()),
                Ok((count, _)) => self.compare(&buffer[..count]),
                Err(Errno::AGAIN) => return Ok(Progress::Waits),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.sent {
            return Ok(());
        }
        // So short a request goes as a whole, or not at all.
        match net::send(&self.socket, self.protocol.request(), SendFlags::NOSIGNAL) {
            Ok(_) => self.sent = true,
            Err(Errno::AGAIN) => {}
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

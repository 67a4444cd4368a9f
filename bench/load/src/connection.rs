//! One connection, from connecting until the server closes it.

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
    ) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match net::connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let sent = protocol.request().is_empty();
        let mut connection = Self { socket, protocol, sent, matched: 0, intended };
        // On a loopback device the connection is usually established already.
        connection.send()?;
        Ok(connection)
    }

    /// The events to wait for first.
    pub(crate) fn interest(&self) -> EventFlags {
        if self.sent { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT | EventFlags::ET }
    }

    /// Does everything that is possible without waiting.
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
        // Such a short request is sent as a whole, or not at all.
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

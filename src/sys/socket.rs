//! The type of a descriptor that another process has sent.

use std::{
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, Shutdown, SockType, getpeername, getsockopt, recv, shutdown,
            sockopt,
        },
        stat::{SFlag, fstat},
    },
};

use super::{address::internet_address, platform::socket as platform};

/// The type of a descriptor, for those that a lane may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// A stream socket for internet addresses.
    Tcp {
        /// Whether it accepts connections.
        listening: bool,
    },
    /// A stream socket for processes of one machine.
    Pipe {
        /// Whether it accepts connections.
        listening: bool,
    },
    /// A pipe without an address.
    Fifo,
    /// A datagram socket for internet addresses.
    Udp,
}

/// The internet address of a connection's peer; `None` if the peer has none, or is gone.
pub fn source(connection: impl AsFd) -> Option<IpAddr> {
    let name = getpeername(connection.as_fd().as_raw_fd()).ok()?;
    internet_address(&name).map(|address| address.ip())
}

/// What a peer has sent that is not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Nothing.
    Nothing,
    /// At least one byte.
    Bytes,
    /// It has ended its side, or reset the connection.
    End,
}

/// Looks at what the peer of a connection has sent, and leaves it there.
pub fn unread(connection: impl AsFd) -> Unread {
    let fd = connection.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    loop {
        return match recv(fd, &mut [0], flags) {
            Ok(0) => Unread::End,
            Ok(_) => Unread::Bytes,
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Unread::Nothing,
            Err(_) => Unread::End,
        };
    }
}

/// Ends our side of a connection: its peer reads the end after all that was sent.
pub fn end(connection: impl AsFd) {
    // Fails only for a connection that has ended.
    let _ = shutdown(connection.as_fd().as_raw_fd(), Shutdown::Write);
}

/// The type of a descriptor; `None` for any other, such as a file.
pub fn nature(descriptor: impl AsFd) -> Option<Nature> {
    let fd = descriptor.as_fd();
    let (Ok(family), Ok(kind)) = (platform::family(fd), getsockopt(&fd, sockopt::SockType)) else {
        return is_fifo(fd).then_some(Nature::Fifo);
    };
    let listening = platform::is_listening(fd);
    let is_internet = matches!(family, Some(AddressFamily::Inet | AddressFamily::Inet6));
    match kind {
        SockType::Stream if is_internet => Some(Nature::Tcp { listening }),
        SockType::Stream if family == Some(AddressFamily::Unix) => Some(Nature::Pipe { listening }),
        SockType::Datagram if is_internet => Some(Nature::Udp),
        _ => None,
    }
}

fn is_fifo(descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|it| it.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        net::{TcpListener, TcpStream, UdpSocket},
        os::unix::net::UnixDatagram,
    };

    use super::*;
    use crate::sys::lane;

    #[test]
    fn a_descriptor_is_told_by_what_it_is() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(nature(socket), Some(Nature::Tcp { listening: false }));
        assert_eq!(nature(server), Some(Nature::Tcp { listening: true }));
        assert_eq!(nature(UdpSocket::bind("[::1]:0").unwrap()), Some(Nature::Udp));
        let (stream, _other) = lane::stream_pair().unwrap();
        assert_eq!(nature(stream), Some(Nature::Pipe { listening: false }));
        let datagrams = UnixDatagram::unbound().unwrap();
        assert_eq!(nature(datagrams), None);
        let (fifo, _end) = nix::unistd::pipe().unwrap();
        assert_eq!(nature(fifo), Some(Nature::Fifo));
        assert_eq!(nature(File::open("/dev/null").unwrap()), None);
    }
}

//! What a descriptor from elsewhere really is.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
};

use rustix::{
    fs::{FileType, fstat},
    net::{AddressFamily, SocketType, getpeername, sockopt},
};

use super::platform::socket as platform;

/// What a descriptor is, where a lane may carry it.
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

/// The internet address of a connection's other end; `None` where it has none, or is gone.
pub fn source(connection: impl AsFd) -> Option<IpAddr> {
    SocketAddr::try_from(getpeername(connection).ok()??).ok().map(|address| address.ip())
}

/// What a descriptor is; `None` for anything else, such as a file.
pub fn nature(descriptor: impl AsFd) -> Option<Nature> {
    let fd = descriptor.as_fd();
    let (Ok(domain), Ok(kind)) = (platform::family(fd), sockopt::socket_type(fd)) else {
        return is_fifo(fd).then_some(Nature::Fifo);
    };
    let listening = platform::is_listening(fd);
    let is_internet = domain == AddressFamily::INET || domain == AddressFamily::INET6;
    match kind {
        SocketType::STREAM if is_internet => Some(Nature::Tcp { listening }),
        SocketType::STREAM if domain == AddressFamily::UNIX => Some(Nature::Pipe { listening }),
        SocketType::DGRAM if is_internet => Some(Nature::Udp),
        _ => None,
    }
}

fn is_fifo(descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo)
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
        let (fifo, _end) = rustix::pipe::pipe().unwrap();
        assert_eq!(nature(fifo), Some(Nature::Fifo));
        assert_eq!(nature(File::open("/dev/null").unwrap()), None);
    }
}

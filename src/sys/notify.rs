//! Datagrams for a service manager.

use std::{
    io::IoSlice,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockType, UnixAddr, sendmsg, sendto},
};

use super::platform::listen as platform;

/// Sends datagrams to the socket of a service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: OwnedFd,
    address: UnixAddr,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, or no one takes it.
    Done,
    /// The receiver has no room for it now.
    Full,
}

impl Notifier {
    /// `name` is a path, or an abstract name after `@`. `None` for all other names, and where the system has no
    /// socket left.
    pub fn open(name: &str) -> Option<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => platform::abstract_name(name.as_bytes()).ok()?,
            None if name.starts_with('/') => UnixAddr::new(name).ok()?,
            None => return None,
        };
        let socket = platform::socket(AddressFamily::Unix, SockType::Datagram).ok()?;
        Some(Self { socket, address })
    }

    /// Sends a datagram. Does not wait.
    pub fn send(&self, text: &str) -> Sent {
        // The socket does not block, and no one is connected who could hang up.
        let none = MsgFlags::empty();
        outcome(sendto(self.socket.as_raw_fd(), text.as_bytes(), &self.address, none))
    }

    /// Sends a datagram with a descriptor. Does not wait.
    pub fn send_descriptor(&self, text: &str, descriptor: impl AsFd) -> Sent {
        let descriptors = [descriptor.as_fd().as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let bytes = [IoSlice::new(text.as_bytes())];
        let (socket, to) = (self.socket.as_raw_fd(), Some(&self.address));
        outcome(sendmsg(socket, &bytes, &rights, MsgFlags::empty(), to))
    }
}

fn outcome(sent: nix::Result<usize>) -> Sent {
    match sent {
        // The last is for descriptors: too many of this user are on their way.
        Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ETOOMANYREFS) => Sent::Full,
        _ => Sent::Done,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn path() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("rs-cluster-notify-{}.sock", std::process::id()))
    }

    #[test]
    fn a_full_socket_and_one_that_is_gone_do_not_make_the_sender_wait() {
        let path = path();
        let receiver = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::open(path.to_str().unwrap()).unwrap();
        let mut sent = 0;
        while notifier.send("WATCHDOG=1") == Sent::Done {
            sent += 1;
        }
        assert!(sent > 0);
        let mut bytes = [0; 64];
        let length = receiver.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"WATCHDOG=1");
        assert_eq!(notifier.send("READY=1"), Sent::Done);
        drop(receiver);
        assert_eq!(notifier.send("READY=1"), Sent::Done);
        std::fs::remove_file(path).unwrap();
        assert_eq!(notifier.send("READY=1"), Sent::Done);
    }

    #[test]
    fn only_unix_sockets_are_told() {
        for name in ["", "vsock:2:1234", "relative"] {
            assert!(Notifier::open(name).is_none(), "{name}");
        }
        assert!(Notifier::open(&format!("/{}", "x".repeat(200))).is_none());
    }
}

//! What a process has not read, by its descriptors.

use std::os::fd::RawFd;

use super::platform;

/// The descriptors among these of which the process has not read all that has come. On Linux this is known of
/// TCP connections; on macOS of none.
///
/// It reads tables of all TCP sockets, so it takes milliseconds if there are thousands.
pub fn with_unread_bytes(pid: i32, descriptors: impl Iterator<Item = RawFd>) -> Vec<RawFd> {
    platform::unread::with_unread_bytes(pid, descriptors)
}

/// Whether the process has a TCP connection that was made to this port of this machine. On macOS that is not known,
/// and none is seen.
///
/// It reads the same tables, and a link for each descriptor of the process.
pub fn has_client_at(pid: i32, port: u16) -> bool {
    platform::unread::has_client_at(pid, port)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
        process,
    };

    use super::*;

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "not known there")]
    fn a_client_is_one_whose_connection_the_process_has() {
        let pid = process::id().cast_signed();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(!has_client_at(pid, port), "it listens, without a client");
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let its_port = client.local_addr().unwrap().port();
            let accepted = listener.accept().unwrap();
            assert!(has_client_at(pid, port));
            // A process that has neither end.
            assert!(!has_client_at(1, port));
            drop((accepted, client));
            assert!(!has_client_at(pid, port) && !has_client_at(pid, its_port));
        }
    }

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "not known there")]
    fn a_connection_with_unread_bytes_is_told_from_one_without() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pairs = [0; 2].map(|_| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        });
        let [(first, its), (_second, other)] = &pairs;
        let pid = process::id().cast_signed();
        let descriptors = || [its.as_raw_fd(), other.as_raw_fd(), -1].into_iter();
        assert!(with_unread_bytes(pid, descriptors()).is_empty());
        let mut first = first;
        first.write_all(b"x").unwrap();
        assert_eq!(with_unread_bytes(pid, descriptors()), [its.as_raw_fd()]);
    }
}

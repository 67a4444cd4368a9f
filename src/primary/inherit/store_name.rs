//! The names of descriptors that the service manager stores.

use std::{fmt::Write, os::fd::AsFd};

use crate::sys::adopt::describe;

/// What such a name begins with, so that it is told from the name of a descriptor of a `.socket` unit.
const PREFIX: &str = "rs-cluster ";

/// systemd takes no longer ones.
const LONGEST: usize = 255;

/// The name by which the service manager stores a socket: all sockets of an address have the same. `None` for a socket
/// without an address, and for one that the service manager takes no name of.
pub fn store_name(socket: impl AsFd) -> Option<String> {
    let name = format!("{PREFIX}{}", escaped(&describe(socket)?));
    (name.len() <= LONGEST).then_some(name)
}

/// Whether this is such a name.
pub fn is_store_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// systemd separates names by colons, and takes printable ASCII only.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b':' | b'%' | 0..b' ' | 127.. => {
                // Writing to a string does not fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
            _ => escaped.push(byte.into()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_name_has_no_colon() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let name = store_name(&socket).unwrap();
        assert_eq!(name, format!("rs-cluster tcp 127.0.0.1%3A{port}"));
        assert!(is_store_name(&name));
        assert!(!is_store_name("rs-cluster.socket"));
        assert_eq!(escaped("unix /run/100%/ä\n"), "unix /run/100%25/%C3%A4%0A");
    }
}

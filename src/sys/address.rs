//! Addresses of sockets, as text and as the kernel has them.

use std::{
    ffi::CStr,
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd},
};

use nix::{
    net::if_::if_nametoindex,
    sys::socket::{SockaddrStorage, getsockname},
};

/// The socket's own address.
pub(super) fn name_of(socket: impl AsFd) -> nix::Result<SockaddrStorage> {
    getsockname(socket.as_fd().as_raw_fd())
}

/// The name of a socket as an internet address; `None` for another family.
pub(super) fn internet_address(name: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = name.as_sockaddr_in().map(|&it| SocketAddrV4::from(it).into());
    v4.or_else(|| name.as_sockaddr_in6().map(|&it| SocketAddrV6::from(it).into()))
}

/// An IP address as text, with the `%zone` of a link-local one.
pub(super) fn text_of(address: &SocketAddr) -> String {
    let zone = match address {
        SocketAddr::V6(address) if address.ip().is_unicast_link_local() => {
            interface_name(address.scope_id())
        }
        _ => None,
    };
    match zone {
        Some(zone) => format!("{}%{zone}", address.ip()),
        None => address.ip().to_string(),
    }
}

/// Parses an IP address; an IPv6 address may have a `%zone`, the name of an interface. As in Node, a
/// number is not a zone, and an unknown interface is ignored.
pub(super) fn parse_address(address: &str, port: u16) -> io::Result<SocketAddr> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let Some((address, zone)) = address.split_once('%') else {
        return Ok(SocketAddr::new(address.parse().map_err(|_| invalid())?, port));
    };
    let address: Ipv6Addr = address.parse().map_err(|_| invalid())?;
    Ok(SocketAddrV6::new(address, port, 0, interface(zone).unwrap_or(0)).into())
}

/// The number of a network interface.
fn interface(name: &str) -> Option<u32> {
    if_nametoindex(name).ok()
}

/// The name of a network interface, by its number.
fn interface_name(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // By `libc`, because `nix` takes the null pointer of a failure for a name.
    // SAFETY: the function writes a C string of at most so many bytes.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    name.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name and number of the loopback interface, which every machine has.
    fn loopback() -> (String, u32) {
        let names = ["lo", "lo0"];
        let found = names.iter().find_map(|name| Some(((*name).into(), interface(name)?)));
        found.unwrap()
    }

    fn parse(address: &str) -> SocketAddr {
        parse_address(address, 0).unwrap()
    }

    #[test]
    fn a_link_local_address_keeps_its_zone() {
        let (name, index) = loopback();
        let address = format!("fe80::1%{name}");
        let parsed = parse(&address);
        assert!(matches!(parsed, SocketAddr::V6(it) if it.scope_id() == index));
        assert_eq!(text_of(&parsed), address);
    }

    #[test]
    fn an_address_of_another_kind_has_no_zone() {
        let (name, _) = loopback();
        assert_eq!(text_of(&parse(&format!("::1%{name}"))), "::1");
        assert_eq!(text_of(&parse("fe80::1")), "fe80::1");
        assert_eq!(text_of(&parse("127.0.0.1")), "127.0.0.1");
    }

    #[test]
    fn only_a_name_of_an_interface_is_a_zone() {
        for zone in ["1", "01", "-1", "0", "", "none", "a\0b"] {
            let parsed = parse(&format!("fe80::1%{zone}"));
            assert!(matches!(parsed, SocketAddr::V6(it) if it.scope_id() == 0), "{zone}");
        }
    }
}

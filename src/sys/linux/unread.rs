use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader},
    os::fd::RawFd,
    path::Path,
};

const ESTABLISHED: &str = "01";

/// `CLOSE_WAIT`: the peer has ended its side, which counts as a byte that is not read.
const CLOSE_WAIT: &str = "08";

/// The descriptors among these of which the process has not read all that has come. Those of TCP; others do
/// not show it. Descriptors that can't be looked at are left out.
pub(in crate::sys) fn with_unread_bytes(
    pid: i32,
    descriptors: impl Iterator<Item = RawFd>,
) -> Vec<RawFd> {
    let sockets = descriptors.filter_map(|fd| Some((socket_of(pid, fd)?, fd)));
    let sockets: HashMap<_, _> = sockets.collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    table_of(pid).filter_map(|line| sockets.get(&unread_socket(&line)?).copied()).collect()
}

/// Whether the process has a connection that was made to this port.
pub(in crate::sys) fn has_client_at(pid: i32, port: u16) -> bool {
    let connections: HashSet<_> =
        table_of(pid).filter_map(|line| connection_at(&line, port)).collect();
    if connections.is_empty() {
        return false;
    }
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| socket_in(&link)).any(|socket| connections.contains(&socket))
}

/// The lines that say something of TCP sockets in the network of the process.
fn table_of(pid: i32) -> impl Iterator<Item = String> {
    let tables = ["tcp", "tcp6"].into_iter();
    let tables = tables.filter_map(move |it| File::open(format!("/proc/{pid}/net/{it}")).ok());
    tables.flat_map(|table| BufReader::new(table).lines().map_while(Result::ok))
}

/// The number of the socket in such a line, if it is connected, and its own port is this.
fn connection_at(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local) = fields.nth(1)?.rsplit_once(':')?;
    if u16::from_str_radix(local, 16).ok()? != port || fields.nth(1)? != ESTABLISHED {
        return None;
    }
    fields.nth(5)?.parse().ok()
}

/// The number of the socket in a line of `/proc/net/tcp`, if something has come that is not read.
fn unread_socket(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let state = fields.nth(3)?;
    let (_sent, received) = fields.next()?.split_once(':')?;
    let end = u64::from(state == CLOSE_WAIT);
    if u64::from_str_radix(received, 16).ok()? <= end {
        return None;
    }
    fields.nth(4)?.parse().ok()
}

/// The number of the socket that the process has as this descriptor.
fn socket_of(pid: i32, descriptor: RawFd) -> Option<u64> {
    socket_in(&fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?)
}

/// The number of the socket that a link names.
fn socket_in(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

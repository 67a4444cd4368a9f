use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::fd::RawFd,
};

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
    let tables = ["tcp", "tcp6"].into_iter();
    let tables = tables.filter_map(|it| File::open(format!("/proc/{pid}/net/{it}")).ok());
    let lines = tables.flat_map(|table| BufReader::new(table).lines().map_while(Result::ok));
    lines.filter_map(|line| sockets.get(&unread_socket(&line)?).copied()).collect()
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
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

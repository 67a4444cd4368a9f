use std::{collections::HashSet, fs, os::fd::RawFd};

/// The descriptors among these of which the process has not read all that has come. Those of TCP; others do
/// not show it. Descriptors that can't be looked at are left out.
pub(in crate::sys) fn with_unread_bytes(
    pid: i32,
    descriptors: impl Iterator<Item = RawFd>,
) -> Vec<RawFd> {
    let unread: HashSet<_> = ["tcp", "tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| table.lines().filter_map(unread_socket).collect::<Vec<_>>())
        .collect();
    if unread.is_empty() {
        return Vec::new();
    }
    let is_unread = |fd: &RawFd| socket_of(pid, *fd).is_some_and(|socket| unread.contains(&socket));
    descriptors.filter(is_unread).collect()
}

/// The number of the socket in a line of `/proc/net/tcp`, if something has come that is not read.
fn unread_socket(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (_sent, received) = fields.nth(4)?.split_once(':')?;
    if u64::from_str_radix(received, 16).ok()? == 0 {
        return None;
    }
    fields.nth(4)?.parse().ok()
}

/// The number of the socket that the process has as this descriptor.
fn socket_of(pid: i32, descriptor: RawFd) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

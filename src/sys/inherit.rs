//! Descriptors that this process was started with.

use std::{
    fs::File,
    io,
    os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

use nix::unistd::dup2_raw;

use super::{
    descriptor::{close_on_exec, duplicate, duplicate_above},
    lane,
};

/// Takes ownership of the end of a lane that this process was started with, and makes it close-on-exec.
///
/// # Errors
/// `EBADF` when `fd` is not open, `ENOTSOCK` or `EPROTOTYPE` when it is not such an end.
pub fn inherit(fd: RawFd, lane: lane::Kind) -> io::Result<OwnedFd> {
    // Check a duplicate before taking ownership: a wrong number belongs to other code.
    lane::check(duplicate(fd)?, lane)?;
    if fd <= libc::STDERR_FILENO
        && let Ok(moved) = move_from_standard_stream(fd)
    {
        return Ok(moved);
    }
    // SAFETY: open, and a lane, as seen above; the process that started this one left it to it alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    close_on_exec(&socket)?;
    Ok(socket)
}

/// A duplicate of a descriptor that this process was started with, whose number becomes close-on-exec and stays open:
/// the program may know it.
///
/// # Errors
/// `EBADF` when `fd` is not open, `EMFILE` when no descriptor is left.
pub fn duplicate_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    let copy = duplicate(fd)?;
    // By `libc`, because the number belongs to other code of this process.
    // SAFETY: numbers only. It is open, as seen above, so this does not fail.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    Ok(copy)
}

/// Closes a descriptor that this process was started with, and that no other code of it uses.
pub fn close_inherited(fd: RawFd) {
    // SAFETY: the caller knows that the number is that of such a descriptor.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// Moves the standard stream `fd` to another number, and opens `/dev/null` in its place. If the number
/// were free, the next file that the program opens would get it, and would receive what is printed.
fn move_from_standard_stream(fd: RawFd) -> io::Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let moved = duplicate_above(fd, libc::STDERR_FILENO + 1)?;
    // SAFETY: `fd` is a lane's, which no other code of this process uses.
    let replaced = unsafe { dup2_raw(null, fd) }?;
    // It stays open as long as the process lives, as standard streams do.
    let _ = replaced.into_raw_fd();
    Ok(moved)
}

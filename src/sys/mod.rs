//! System calls and the C functions of the Node executable. The only module with `unsafe`, and the
//! only one that may differ by platform.
//!
//! - [`failure`]: what a failed call means,
//! - [`lane`]: socket pairs, and descriptors passed through them (`message`), [`ring`]: shared memory,
//! - `descriptor`: what any descriptor can be asked and told,
//! - [`reserve`]: what to do without descriptors,
//! - [`listen`]: addresses bound and connections accepted, `socket_file`: the files of some, [`socket`]: what a descriptor really is,
//! - [`spawn`] and [`exit`]: a child process begins and ends (`wait`), [`load`]: whether it gets to run,
//! - [`thread`]: whether a thread of ours waits,
//! - [`watched`]: what the engine waits on,
//! - `linux`, `macos`: where these differ. Callers of this module see no difference,
//! - `node`: libuv's poll and Node-API's callback scope, `node_function`: functions for JavaScript.
//!
//! Every descriptor is close-on-exec from birth; on macOS as soon as it is there, and a process that is
//! started meanwhile does not get it.

mod descriptor;
pub mod exit;
pub mod failure;
#[cfg(any(test, feature = "inject"))]
pub mod inject;
pub mod lane;
pub mod listen;
pub mod load;
mod message;
#[cfg(feature = "binding")]
pub mod node;
#[cfg(feature = "binding")]
pub mod node_function;
pub mod reserve;
pub mod ring;
pub mod socket;
mod socket_file;
pub mod spawn;
pub mod thread;
mod wait;
pub mod watched;

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(target_os = "macos", path = "macos/mod.rs")]
mod platform;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("rs-cluster's engine needs Linux or macOS: what they have is in src/sys/linux");

use std::{
    fs::File,
    io,
    os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd},
};

use nix::{
    sys::resource::{RLIM_INFINITY, Resource, getrlimit},
    unistd::dup2_raw,
};

use self::descriptor::close_on_exec;
pub use self::{
    descriptor::{duplicate, duplicate_above},
    platform::use_batch_scheduling,
};

/// How many descriptors this process may have.
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(RLIM_INFINITY, |(soft, _)| soft);
    if limit == RLIM_INFINITY { usize::MAX } else { limit.try_into().unwrap_or(usize::MAX) }
}

/// Takes over the end of a lane that this process was started with, and makes it close-on-exec.
///
/// # Errors
/// `EBADF` when `fd` is not open, `ENOTSOCK` or `EPROTOTYPE` when it is not such an end.
pub fn inherit(fd: RawFd, lane: lane::Kind) -> io::Result<OwnedFd> {
    // A look at a duplicate, before anything is owned: a wrong number is somebody else's.
    lane::check(duplicate(fd)?, lane)?;
    if fd <= libc::STDERR_FILENO
        && let Ok(moved) = move_from_standard_stream(fd)
    {
        return Ok(moved);
    }
    // SAFETY: open, and a lane, as seen above; whoever started us left it to us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    close_on_exec(&socket)?;
    Ok(socket)
}

/// Moves what is open as the standard stream `fd` to another number, and opens `/dev/null` in its place: if
/// the number became free, the next file that the program opens would have it, and receive what is printed.
fn move_from_standard_stream(fd: RawFd) -> io::Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let moved = duplicate_above(fd, libc::STDERR_FILENO + 1)?;
    // SAFETY: `fd` is a lane's, which no other code of this process uses.
    let replaced = unsafe { dup2_raw(null, fd) }?;
    // It stays open as long as the process lives, as standard streams do.
    let _ = replaced.into_raw_fd();
    Ok(moved)
}

/// Ends this process at once, without its exit handlers: they belong to a thread that is stuck.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit may be called from any thread at any time.
    unsafe { libc::_exit(code) }
}

/// How many descriptors are left for other purposes by those that only keep something.
const SPARE_DESCRIPTORS: usize = 64;

/// The number of the first descriptor that is among the last few which this process may open.
pub fn scarce_descriptors() -> RawFd {
    let limit = descriptor_limit();
    RawFd::try_from(limit - SPARE_DESCRIPTORS.min(limit / 4)).unwrap_or(RawFd::MAX)
}

/// The negated errno of `error`, as libuv and Node's handles return it; `-EIO` when it has none.
pub fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// Whether two descriptors name the same open socket.
#[cfg(test)]
fn same_socket(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |fd| nix::sys::stat::fstat(fd).map(|it| (it.st_dev, it.st_ino));
    identity(one).expect("an open descriptor") == identity(other).expect("an open descriptor")
}

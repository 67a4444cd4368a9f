//! Operations on any kind of descriptor.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::resource::{RLIM_INFINITY, Resource, getrlimit},
};

/// The requests of `ioctl` that are used here.
mod request {
    nix::ioctl_write_ptr_bad!(
        /// Whether reads and writes return at once.
        fionbio,
        libc::FIONBIO,
        libc::c_int
    );
    #[cfg(target_os = "linux")]
    nix::ioctl_read_bad!(
        /// How many bytes wait to be read.
        fionread,
        libc::FIONREAD,
        libc::c_int
    );
}

/// Duplicates a descriptor that other code of this process owns.
///
/// # Errors
/// `EBADF` when `fd` is not open, `EMFILE` when no descriptor is left.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    duplicate_above(fd, 0)
}

/// Like [`duplicate`], but the copy's number is at least `min`.
///
/// # Errors
/// As [`duplicate`].
pub fn duplicate_above(fd: RawFd, min: RawFd) -> io::Result<OwnedFd> {
    // By `libc`, because `nix` takes only descriptors that are known to be open.
    // SAFETY: fcntl with a number that is no open descriptor just answers EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, min) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Sets close-on-exec.
pub(super) fn close_on_exec(fd: impl AsFd) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}

/// Makes reads and writes return at once, or wait, for every holder of the open file.
pub(super) fn set_nonblocking(fd: impl AsFd, is_nonblocking: bool) -> nix::Result<()> {
    let value = libc::c_int::from(is_nonblocking);
    // SAFETY: an open descriptor, and a number that lives.
    unsafe { request::fionbio(fd.as_fd().as_raw_fd(), &raw const value) }.map(drop)
}

/// How many bytes wait to be read, by `FIONREAD`.
#[cfg(target_os = "linux")]
pub(super) fn readable_bytes(fd: impl AsFd) -> nix::Result<u64> {
    let mut bytes = 0;
    // SAFETY: an open descriptor, and room for one number.
    unsafe { request::fionread(fd.as_fd().as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes.unsigned_abs().into())
}

/// How many descriptors this process may have.
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(RLIM_INFINITY, |(soft, _)| soft);
    if limit == RLIM_INFINITY { usize::MAX } else { limit.try_into().unwrap_or(usize::MAX) }
}

/// How many descriptors remain free for other purposes when descriptors are only stored.
const SPARE_DESCRIPTORS: usize = 64;

/// The lowest number of the last few descriptors that this process may open: 64 of them, or a quarter
/// of all if that is fewer.
pub fn scarce_descriptors() -> RawFd {
    let limit = descriptor_limit();
    RawFd::try_from(limit - SPARE_DESCRIPTORS.min(limit / 4)).unwrap_or(RawFd::MAX)
}

/// Whether two descriptors name the same open socket.
#[cfg(test)]
pub(super) fn same_socket(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |fd| nix::sys::stat::fstat(fd).map(|it| (it.st_dev, it.st_ino));
    identity(one).expect("an open descriptor") == identity(other).expect("an open descriptor")
}

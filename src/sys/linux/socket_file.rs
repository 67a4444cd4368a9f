use std::{
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::{
        socket::{SockaddrLike, UnixAddr},
        stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstat},
    },
};

/// The address of a path that fills it; `None` for one of another length.
pub(in crate::sys) fn longest_address(path: &[u8]) -> Option<UnixAddr> {
    // SAFETY: numbers, for which zeros do.
    let mut address: libc::sockaddr_un = unsafe { MaybeUninit::zeroed().assume_init() };
    if path.len() != address.sun_path.len() {
        return None;
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = from.cast_signed() as _;
    }
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: an address that lives, all of which is filled in.
    unsafe { UnixAddr::from_raw((&raw const address).cast(), Some(length)) }
}

/// A directory to name files in; nothing is read from it.
pub(in crate::sys) const DIRECTORY: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// A file that is open only to keep its identity; nothing is read from it.
pub(in crate::sys) type KeptOpen = OwnedFd;

/// The path of a file in an open directory, which stays valid when the directory is renamed.
pub(in crate::sys) fn path_in(directory: &OwnedFd, name: &OsStr) -> Option<PathBuf> {
    let directory = path_of(directory);
    directory.exists().then(|| directory.join(name))
}

fn path_of(open: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(open.as_fd().as_raw_fd().to_string())
}

/// Opens a file in a directory, and returns its status. A link is not followed.
pub(in crate::sys) fn keep_open(
    directory: &OwnedFd,
    name: &OsStr,
) -> io::Result<(KeptOpen, FileStat)> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty())?;
    let found = fstat(&file)?;
    Ok((file, found))
}

/// Changes the mode of a file.
pub(in crate::sys) fn change_mode(
    _: &OwnedFd,
    _: &OsStr,
    kept: &KeptOpen,
    mode: Mode,
) -> io::Result<()> {
    // By its path in `/proc`, because no call changes the mode of a file opened with `O_PATH` before
    // Linux 6.6.
    Ok(fchmodat(AT_FDCWD, &path_of(kept), mode, FchmodatFlags::FollowSymlink)?)
}

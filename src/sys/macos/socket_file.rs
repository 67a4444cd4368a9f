use std::{ffi::OsStr, io, mem::MaybeUninit, os::fd::OwnedFd, path::PathBuf};

use nix::{
    fcntl::{AtFlags, OFlag},
    sys::{
        socket::{SockaddrLike, UnixAddr},
        stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstatat},
    },
};

/// The address of a path that fills it; `None` for one of another length.
pub(in crate::sys) fn longest_address(path: &[u8]) -> Option<UnixAddr> {
    // SAFETY: numbers, for which zeros do.
    let mut address: libc::sockaddr_un = unsafe { MaybeUninit::zeroed().assume_init() };
    if path.len() != address.sun_path.len() {
        return None;
    }
    let length = size_of_val(&address) as u8;
    address.sun_len = length;
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = from.cast_signed() as _;
    }
    // SAFETY: an address that lives, all of which is filled in.
    unsafe { UnixAddr::from_raw((&raw const address).cast(), Some(length.into())) }
}

/// A directory to name files in.
pub(in crate::sys) const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The file of a socket can't be opened.
pub(in crate::sys) type KeptOpen = ();

/// There is no path to what is open.
pub(in crate::sys) fn path_in(_: &OwnedFd, _: &OsStr) -> Option<PathBuf> {
    None
}

/// Returns the status of a file in a directory. A link is not followed.
pub(in crate::sys) fn keep_open(
    directory: &OwnedFd,
    name: &OsStr,
) -> io::Result<(KeptOpen, FileStat)> {
    Ok(((), fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?))
}

/// Changes the mode of a file in a directory. A link is not followed.
pub(in crate::sys) fn change_mode(
    directory: &OwnedFd,
    name: &OsStr,
    (): &KeptOpen,
    mode: Mode,
) -> io::Result<()> {
    Ok(fchmodat(directory, name, mode, FchmodatFlags::NoFollowSymlink)?)
}

use std::{ffi::OsStr, io, os::fd::OwnedFd, path::PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat, chmodat, statat};

/// A directory to name files in.
pub(in crate::sys) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The file of a socket can't be opened.
pub(in crate::sys) type Held = ();

/// There is no path to what is open.
pub(in crate::sys) fn path_in(_: &OwnedFd, _: &OsStr) -> Option<PathBuf> {
    None
}

/// Says what a file in a directory is. A link is not followed.
pub(in crate::sys) fn hold(directory: &OwnedFd, name: &OsStr) -> io::Result<(Held, Stat)> {
    Ok(((), statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// Changes the mode of a file in a directory. A link is not followed.
pub(in crate::sys) fn change_mode(
    directory: &OwnedFd,
    name: &OsStr,
    (): &Held,
    mode: Mode,
) -> io::Result<()> {
    Ok(chmodat(directory, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, Stat, chmod, fstat, openat};

/// A directory to name files in; nothing is read from it.
pub(in crate::sys) const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A file, of which nothing is read either.
pub(in crate::sys) type Held = OwnedFd;

/// The path of a file in an open directory, whatever has become of the directory's own path.
pub(in crate::sys) fn path_in(directory: &OwnedFd, name: &OsStr) -> Option<PathBuf> {
    let directory = path_of(directory);
    directory.exists().then(|| directory.join(name))
}

fn path_of(open: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(open.as_fd().as_raw_fd().to_string())
}

/// Opens a file in a directory, and says what it is. A link is not followed.
pub(in crate::sys) fn hold(directory: &OwnedFd, name: &OsStr) -> io::Result<(Held, Stat)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty())?;
    let found = fstat(&file)?;
    Ok((file, found))
}

/// Changes the mode of a file.
pub(in crate::sys) fn change_mode(
    _: &OwnedFd,
    _: &OsStr,
    held: &Held,
    mode: Mode,
) -> io::Result<()> {
    // No call changes the mode of a file that is open in this way (Linux 6.6 has one).
    Ok(chmod(path_of(held), mode)?)
}

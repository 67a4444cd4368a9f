//! The files of Unix sockets. The directory is looked up once, and named by its descriptor afterwards.
//! So a change of the path, or of this process's working directory, does not affect which file is
//! created, changed and removed.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, open},
    sys::{
        socket::{UnixAddr, bind},
        stat::{FileStat, Mode, SFlag, fstatat},
    },
    unistd::{UnlinkatFlags, unlinkat},
};

use super::platform::socket_file as platform;
use crate::protocol::control::Query;

/// The file of a bound socket, removed on drop.
#[derive(Debug)]
pub(super) struct SocketFile {
    directory: OwnedFd,
    name: OsString,
    /// Device and inode: another file that has the name by then must not be removed. `None` for a file that stays.
    identity: Option<(i128, u64)>,
    /// While this is open, no other file gets the same inode.
    kept: platform::KeptOpen,
}

impl SocketFile {
    /// Binds a socket to an absolute path, and sets the mode of the file as `query` says. If other
    /// processes may change the path meanwhile (`is_contested`), the socket is bound through the
    /// descriptor of the directory, and its own name shows that.
    ///
    /// # Errors
    /// As `bind(2)`, but `EACCES` for a missing directory; `EINVAL` for a relative path.
    pub(super) fn bind(
        socket: impl AsFd,
        path: &str,
        query: &Query,
        is_contested: bool,
    ) -> io::Result<Option<Self>> {
        let path = Path::new(path);
        if !path.is_absolute() {
            return Err(Errno::EINVAL.into());
        }
        let short = address_of(path);
        let address = short.or_else(|error| match seen_from_here(path) {
            Some(relative) => address_of(&relative),
            None => Err(error),
        })?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            // This can only be the root directory, so the kernel reports that it exists.
            bind(socket.as_fd().as_raw_fd(), &address)?;
            return Ok(None);
        };
        let directory = open(folder, platform::DIRECTORY, Mode::empty()).map_err(translated)?;
        let kept = platform::path_in(&directory, name).filter(|_| is_contested || short.is_err());
        let address = kept.and_then(|kept| address_of(&kept).ok()).unwrap_or(address);
        bind(socket.as_fd().as_raw_fd(), &address).map_err(translated)?;
        let kept = platform::keep_open(&directory, name);
        // There may be no free descriptor for it.
        let (kept, found) = kept.inspect_err(|_| remove(&directory, name, is_socket))?;
        if !is_socket(&found) {
            return Err(Errno::EACCES.into());
        }
        let file =
            Self { directory, name: name.to_owned(), identity: Some(identity(&found)), kept };
        file.share(query, &found)?;
        Ok(Some(file))
    }

    /// The file at a path, if that is the file of a socket.
    pub(super) fn find(path: &str) -> Option<Self> {
        let path = Path::new(path);
        let (folder, name) = (path.parent()?, path.file_name()?);
        let directory = open(folder, platform::DIRECTORY, Mode::empty()).ok()?;
        let (kept, found) = platform::keep_open(&directory, name).ok()?;
        let identity = is_socket(&found).then(|| identity(&found))?;
        Some(Self { directory, name: name.to_owned(), identity: Some(identity), kept })
    }

    /// Leaves the file where it is.
    pub(super) fn leave(mut self) {
        self.identity = None;
    }

    /// `readableAll` and `writableAll`, as libuv's `uv_pipe_chmod` does them.
    fn share(&self, query: &Query, found: &FileStat) -> io::Result<()> {
        let mut extra = Mode::empty();
        if query.readable_all {
            extra |= Mode::S_IRUSR | Mode::S_IRGRP | Mode::S_IROTH;
        }
        if query.writable_all {
            extra |= Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH;
        }
        if extra.is_empty() {
            return Ok(());
        }
        // A file with another name may have existed before.
        if found.st_nlink != 1 {
            return Err(Errno::EACCES.into());
        }
        let mode = Mode::from_bits_truncate(found.st_mode) | extra;
        platform::change_mode(&self.directory, &self.name, &self.kept, mode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        remove(&self.directory, &self.name, |found| Some(identity(found)) == self.identity);
    }
}

/// Removes a file if `is_it` says so.
fn remove(directory: &OwnedFd, name: &OsStr, is_it: impl FnOnce(&FileStat) -> bool) {
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    if found.is_ok_and(|found| is_it(&found)) {
        // Another process may have removed it already.
        let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
    }
}

fn is_socket(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits()
}

/// The type of the first number differs between systems.
fn identity(found: &FileStat) -> (i128, u64) {
    (found.st_dev.into(), found.st_ino)
}

/// The translation of libuv (`uv_pipe_bind2`), which net reports.
fn translated(error: Errno) -> Errno {
    if error == Errno::ENOENT { Errno::EACCES } else { error }
}

/// An address of at most as many bytes as the kernel takes; `nix` wants a zero byte at the end.
fn address_of(path: &Path) -> nix::Result<UnixAddr> {
    match UnixAddr::new(path) {
        Err(Errno::ENAMETOOLONG) => {
            platform::longest_address(path.as_os_str().as_bytes()).ok_or(Errno::ENAMETOOLONG)
        }
        address => address,
    }
}

/// The path relative to the working directory, which may be short enough for the kernel's limit of
/// about a hundred bytes when the path itself is not.
fn seen_from_here(path: &Path) -> Option<PathBuf> {
    pathdiff::diff_paths(path, std::env::current_dir().ok()?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{
            fs::{FileTypeExt, PermissionsExt, symlink},
            net::UnixStream,
        },
    };

    use nix::sys::socket::connect;

    use super::*;
    use crate::{
        protocol::control::Target,
        sys::listen::{self, Bound, bind_query},
    };

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rs-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn query(path: &Path) -> Query {
        Query::new(Target::Unix { path: path.display().to_string() })
    }

    fn listen_at(query: &Query, is_contested: bool) -> io::Result<Bound> {
        let bound = bind_query(query, is_contested)?;
        listen::start(&bound, query)?;
        Ok(bound)
    }

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_shared_and_removed_whoever_may_change_its_path() {
        for is_contested in [false, true] {
            let folder = Folder::new(&format!("shared-{is_contested}"));
            let path = folder.0.join("socket");
            let all = Query { readable_all: true, writable_all: true, ..query(&path) };
            let bound = listen_at(&all, is_contested).unwrap();
            UnixStream::connect(&path).unwrap();
            assert_eq!(mode_of(&path) & 0o666, 0o666);
            let again = listen_at(&all, is_contested).unwrap_err();
            assert_eq!(again.raw_os_error(), Some(libc::EADDRINUSE));
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_has_taken_the_place_of_a_file_or_of_its_directory_stays() {
        let folder = Folder::new("swapped");
        let (inside, aside) = (folder.0.join("inside"), folder.0.join("aside"));
        fs::create_dir(&inside).unwrap();
        let bound = listen_at(&query(&inside.join("socket")), true).unwrap();
        fs::rename(&inside, &aside).unwrap();
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("socket"), "precious").unwrap();
        drop(bound);
        assert!(!aside.join("socket").exists(), "it is removed where it is");
        assert_eq!(fs::read_to_string(inside.join("socket")).unwrap(), "precious");

        let path = folder.0.join("replaced");
        let bound = listen_at(&query(&path), true).unwrap();
        fs::remove_file(&path).unwrap();
        let next = listen_at(&query(&path), true).unwrap();
        drop(bound);
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let folder = Folder::new("link");
        let (path, precious) = (folder.0.join("socket"), folder.0.join("precious"));
        fs::write(&precious, "").unwrap();
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
        let all = Query { readable_all: true, writable_all: true, ..query(&path) };
        let Some(file) = SocketFile::bind(unbound(), path.to_str().unwrap(), &all, true).unwrap()
        else {
            unreachable!("a path has a file")
        };
        fs::remove_file(&path).unwrap();
        symlink(&precious, &path).unwrap();
        let found = fstatat(&file.directory, &*file.name, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
        let _ = file.share(&all, &found);
        assert_eq!(mode_of(&precious), 0o600);
        drop(file);
        assert!(path.is_symlink());
    }

    #[test]
    fn relative_paths_are_none() {
        for path in ["socket", "./socket", ""] {
            let found = SocketFile::bind(unbound(), path, &query(Path::new(path)), false);
            assert_eq!(found.unwrap_err().raw_os_error(), Some(libc::EINVAL), "{path:?}");
        }
        let root = SocketFile::bind(unbound(), "/", &query(Path::new("/")), false).unwrap_err();
        assert_eq!(root.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn a_path_may_be_as_long_as_the_kernel_takes() {
        let folder = Folder::new("long");
        // SAFETY: numbers, for which zeros do.
        let address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        let size = address.sun_path.len();
        let missing = size - folder.0.as_os_str().len() - 1;
        let path = folder.0.join("s".repeat(missing));
        let bound = listen_at(&query(&path), false).unwrap();
        assert!(UnixStream::connect(&path).is_err(), "the standard library wants a zero");
        connect(unbound().as_raw_fd(), &address_of(&path).unwrap()).unwrap();
        drop(bound);
        assert!(!path.exists());
        let longer = folder.0.join("s".repeat(missing + 1));
        assert_eq!(address_of(&longer), Err(Errno::ENAMETOOLONG));
    }

    fn unbound() -> OwnedFd {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap()
    }
}

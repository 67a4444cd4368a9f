//! The sockets on which operators ask this process: a path, or a TCP address.

use std::{
    fs::{self, File, Permissions},
    io,
    net::SocketAddr,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    },
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::socket::{AddressFamily, SockType, UnixAddr, connect},
    unistd::geteuid,
};

use super::{
    descriptor::set_nonblocking,
    listen::{self, Bound, bind_query, bound_address},
    platform::{listen::socket, socket::pid_of_peer},
};
use crate::protocol::control::{Query, Target};

/// How long to wait for another process that claims a path in the same directory, which takes
/// microseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Clients that may wait until they are accepted: on a path, one more gets `EAGAIN`.
const BACKLOG: u32 = 512;

/// What has become of a path that is to be bound.
#[derive(Debug)]
pub enum Claim {
    /// It is bound, and listens; its file is removed when this is dropped.
    Bound(Bound),
    /// A process listens there: its pid, where the system tells.
    InUse(Option<i32>),
    /// Something else than a socket has the path.
    Occupied,
}

/// Binds an absolute path and listens there. The file of a socket on which no process listens any more is
/// replaced. A private socket has mode 0600.
///
/// # Errors
/// As `bind(2)`: `EACCES`, also for a missing directory, `ENAMETOOLONG`, `EROFS`, …
pub fn claim_path(path: &str, is_private: bool) -> io::Result<Claim> {
    let query = Query { backlog: BACKLOG, ..Query::new(Target::Unix { path: path.into() }) };
    let file = Path::new(path);
    // Two processes that replace the same file at the same time could remove each other's.
    let _lock = file.parent().and_then(lock_directory);
    let bound = match bind_query(&query, true) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => {
            if !fs::symlink_metadata(file)?.file_type().is_socket() {
                return Ok(Claim::Occupied);
            }
            match listener_of(file)? {
                Listener::Process(pid) => return Ok(Claim::InUse(pid)),
                Listener::Nobody => fs::remove_file(file)?,
            }
            bind_query(&query, true)?
        }
        result => result?,
    };
    if is_private {
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
    }
    listen::start(&bound, &query)?;
    Ok(Claim::Bound(bound))
}

/// Binds a TCP address and listens there. Returns the address that was bound, too.
///
/// # Errors
/// As `bind(2)`.
pub fn listen_tcp(address: SocketAddr) -> io::Result<(Bound, SocketAddr)> {
    let target = Target::Tcp { address: Some(address.ip().to_string()), port: address.port() };
    let query = Query { backlog: BACKLOG, ..Query::new(target) };
    let bound = bind_query(&query, false)?;
    listen::start(&bound, &query)?;
    let port = bound_address(&bound)?.map_or(address.port(), |it| it.port);
    Ok((bound, SocketAddr::new(address.ip(), port)))
}

/// Whether a user may control this process: the one that it runs as, and root.
pub fn may_control(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Waits for the lock of a directory, but not for ever; without it, the caller goes on.
fn lock_directory(directory: &Path) -> Option<Flock<File>> {
    let deadline = Instant::now() + PATIENCE;
    // Another kind of file could make this wait.
    let mut file =
        File::options().read(true).custom_flags(libc::O_DIRECTORY).open(directory).ok()?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((again, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file = again,
            Err(_) => return None,
        }
        sleep(Duration::from_millis(5));
    }
}

enum Listener {
    Process(Option<i32>),
    Nobody,
}

/// Who listens at the file of a socket.
fn listener_of(file: &Path) -> io::Result<Listener> {
    let socket = socket(AddressFamily::Unix, SockType::Stream)?;
    set_nonblocking(&socket, true)?;
    match connect(socket.as_raw_fd(), &UnixAddr::new(file)?) {
        Ok(()) => Ok(Listener::Process(pid_of_peer(&socket))),
        Err(Errno::ECONNREFUSED) => Ok(Listener::Nobody),
        // Its backlog is full, or it is the socket of another user.
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EPERM) => Ok(Listener::Process(None)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rs-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> String {
            self.0.join("control.sock").display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_path_belongs_to_one_living_process() {
        let folder = Folder::new("claimed");
        let file = folder.file();
        let Claim::Bound(bound) = claim_path(&file, true).unwrap() else { panic!("it is free") };
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&file).unwrap();
        let again = claim_path(&file, true).unwrap();
        let own = std::process::id().cast_signed();
        assert!(matches!(again, Claim::InUse(Some(pid)) if pid == own), "{again:?}");
        drop(bound);
        assert!(!Path::new(&file).exists());
    }

    #[test]
    fn the_file_of_a_process_that_has_ended_is_replaced() {
        let folder = Folder::new("stale");
        let file = folder.file();
        drop(UnixListener::bind(&file).unwrap());
        assert!(Path::new(&file).exists(), "the standard library leaves it");
        assert!(matches!(claim_path(&file, true).unwrap(), Claim::Bound(_)));
    }

    #[test]
    fn what_is_not_a_socket_stays() {
        let folder = Folder::new("precious");
        let file = folder.file();
        fs::write(&file, "precious").unwrap();
        assert!(matches!(claim_path(&file, true).unwrap(), Claim::Occupied));
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }

    #[test]
    fn a_path_below_something_else_than_a_directory_is_refused_at_once() {
        let folder = Folder::new("fifo");
        let pipe = folder.file();
        nix::unistd::mkfifo(Path::new(&pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = claim_path(&format!("{pipe}/control.sock"), true).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::EACCES)), "{error}");
    }

    #[test]
    fn a_link_stays_and_so_does_what_it_leads_to() {
        let folder = Folder::new("link");
        let (link, target) = (folder.file(), folder.0.join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(claim_path(&link, true).unwrap(), Claim::Occupied), "it leads nowhere");
        let _listener = UnixListener::bind(&target).unwrap();
        assert!(matches!(claim_path(&link, true).unwrap(), Claim::Occupied));
        fs::symlink_metadata(&link).unwrap();
        UnixStream::connect(&target).unwrap();
    }

    #[test]
    fn a_busy_listener_is_alive() {
        let folder = Folder::new("busy");
        let file = folder.file();
        let Claim::Bound(_bound) = claim_path(&file, true).unwrap() else { panic!("it is free") };
        // Nothing accepts these.
        let mut clients = Vec::new();
        loop {
            let client = socket(AddressFamily::Unix, SockType::Stream).unwrap();
            set_nonblocking(&client, true).unwrap();
            if connect(client.as_raw_fd(), &UnixAddr::new(Path::new(&file)).unwrap()).is_err() {
                break;
            }
            clients.push(client);
        }
        assert!(clients.len() > 100);
        assert!(matches!(claim_path(&file, true).unwrap(), Claim::InUse(None)));
    }

    #[test]
    fn many_that_claim_a_stale_path_at_once_get_it_once() {
        let folder = Folder::new("contest");
        let file = folder.file();
        drop(UnixListener::bind(&file).unwrap());
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| claim_path(&file, true).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let bound = claims.iter().filter(|claim| matches!(claim, Claim::Bound(_))).count();
        assert_eq!(bound, 1, "{claims:?}");
        UnixStream::connect(&file).unwrap();
    }
}

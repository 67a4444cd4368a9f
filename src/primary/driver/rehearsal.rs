//! Rehearsal: a program is tried beside the one that serves, so none of its addresses is bound. Each worker gets a
//! socket that no client knows, and sees the address that it has asked for.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::super::messages::RunOptions;
use crate::{
    protocol::control::{BoundAddress, Query, Target},
    sys::listen::{self, Bound},
};

const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// How many names are tried for a directory.
const TRIES: u32 = 100;

/// What a query binds, and the address that workers see.
type Place = (Bound, Option<BoundAddress>);

/// Binds what the query asks for, or in a rehearsal something in its place.
///
/// # Errors
/// As [`listen::bind_query`].
pub(super) fn bind(run: &RunOptions, query: &Query, is_contested: bool) -> io::Result<Place> {
    if run.rehearses {
        return substitute(query);
    }
    let bound = listen::bind_query(query, is_contested)?;
    let address = listen::bound_address(&bound)?;
    Ok((bound, address))
}

/// Whether one of two servers would find its address in use by the other.
pub(super) fn collide(one: &Query, other: &Query) -> bool {
    if (one.reuse_port && other.reuse_port) || (one.reuse_address && other.reuse_address) {
        return false;
    }
    let overlap = |one: &Option<String>, other: &Option<String>| {
        is_wildcard(one.as_deref()) || is_wildcard(other.as_deref()) || one == other
    };
    match (&one.target, &other.target) {
        (Target::Tcp { address, port }, Target::Tcp { address: its, port: its_port }) => {
            port == its_port && *port != 0 && overlap(address, its)
        }
        (
            Target::Udp { address, port, ipv6 },
            Target::Udp { address: its, port: its_port, ipv6: is_ipv6 },
        ) => port == its_port && *port != 0 && ipv6 == is_ipv6 && overlap(address, its),
        (Target::Unix { path }, Target::Unix { path: other }) => path == other,
        _ => false,
    }
}

fn is_wildcard(address: Option<&str>) -> bool {
    matches!(address, None | Some("::" | "0.0.0.0"))
}

fn substitute(query: &Query) -> io::Result<Place> {
    // Not shared with any other socket.
    let query = Query { reuse_port: false, ..query.clone() };
    match &query.target {
        Target::Tcp { address, port } => {
            let probe = with_target(&query, Target::Tcp { address: address.clone(), port: 0 });
            let asked = asked(&listen::bind_query(&probe, false)?, *port)?;
            Ok((on_loopback(&query)?, asked))
        }
        // Its address stays, because a socket at the loopback address can't send elsewhere.
        Target::Udp { address, port, ipv6 } => {
            let target = Target::Udp { address: address.clone(), port: 0, ipv6: *ipv6 };
            let bound = listen::bind_query(&with_target(&query, target), false)?;
            let asked = asked(&bound, *port)?;
            Ok((bound, asked))
        }
        Target::Unix { path } => {
            check_path(path)?;
            Ok((without_name(&query)?, None))
        }
        Target::Descriptor { datagrams, .. } => {
            let asked = listen::bound_address(&listen::bind_query(&query, false)?)?;
            let bound = match &asked {
                None => without_name(&query)?,
                Some(_) if !datagrams => on_loopback(&query)?,
                Some(BoundAddress { family, .. }) => {
                    let target = Target::Udp { address: None, port: 0, ipv6: family == "IPv6" };
                    listen::bind_query(&with_target(&query, target), false)?
                }
            };
            Ok((bound, asked))
        }
    }
}

fn with_target(query: &Query, target: Target) -> Query {
    Query { target, ..query.clone() }
}

/// The address of the socket, with the port that was asked for.
fn asked(bound: &Bound, port: u16) -> io::Result<Option<BoundAddress>> {
    let address = listen::bound_address(bound)?;
    Ok(address.map(|it| BoundAddress { port: if port == 0 { it.port } else { port }, ..it }))
}

fn on_loopback(query: &Query) -> io::Result<Bound> {
    let [first, second] = LOOPBACK.map(|address| {
        let target = Target::Tcp { address: Some(address.into()), port: 0 };
        with_target(query, target)
    });
    listen::bind_query(&first, false).or_else(|_| listen::bind_query(&second, false))
}

/// # Errors
/// `EACCES` where there is no such directory, and `EADDRINUSE` where a file of another kind has the name, as
/// Node's servers report them.
fn check_path(path: &str) -> io::Result<()> {
    if path.starts_with('\0') {
        return Ok(());
    }
    let path = Path::new(path);
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::from_raw_os_error(libc::EADDRINUSE))
        }
        _ => Ok(()),
    }
}

/// A Unix socket whose file is gone.
fn without_name(query: &Query) -> io::Result<Bound> {
    let directory = new_directory()?;
    let path = directory.join("socket").to_string_lossy().into_owned();
    let bound = listen::bind_query(&with_target(query, Target::Unix { path }), false);
    let bound = bound.map(Bound::without_file);
    // An empty directory that stays is no reason to fail.
    let _ = fs::remove_dir(directory);
    bound
}

/// A directory that no other user can enter.
fn new_directory() -> io::Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let mut result = Err(io::ErrorKind::AlreadyExists.into());
    for _ in 0..TRIES {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("rs-cluster-rehearsal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        result = DirBuilder::new().mode(0o700).create(&path).map(|()| path);
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: Option<&str>, port: u16) -> Query {
        Query::new(Target::Tcp { address: address.map(str::to_owned), port })
    }

    fn rehearse(query: &Query) -> io::Result<Place> {
        bind(&RunOptions { rehearses: true, ..RunOptions::default() }, query, false)
    }

    #[test]
    fn a_port_that_is_in_use_can_be_rehearsed() {
        let (first, address) =
            bind(&RunOptions::default(), &tcp(Some("127.0.0.1"), 0), false).unwrap();
        listen::start(&first, &tcp(None, 0)).unwrap();
        let address = address.unwrap();
        let query = tcp(Some("127.0.0.1"), address.port);
        assert!(listen::bind_query(&query, false).is_err());
        let (substitute, asked) = rehearse(&query).unwrap();
        assert_eq!(asked, Some(address.clone()));
        let real = listen::bound_address(&substitute).unwrap().unwrap();
        assert_ne!(real.port, address.port);
        assert_eq!(real.address, "127.0.0.1");
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_in_a_rehearsal_too() {
        // An address for documentation.
        let error = rehearse(&tcp(Some("192.0.2.1"), 80)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    }

    #[test]
    fn a_rehearsed_unix_socket_has_no_file() {
        let path = std::env::temp_dir().join("rs-cluster-rehearsed.sock");
        let unix = |path: &Path| {
            let path = path.to_string_lossy().into_owned();
            Query::new(Target::Unix { path })
        };
        let (bound, address) = rehearse(&unix(&path)).unwrap();
        listen::start(&bound, &unix(&path)).unwrap();
        assert_eq!(address, None);
        assert!(!path.exists());
        let error = rehearse(&unix(Path::new("/no/such/directory/socket"))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        let error = rehearse(&unix(&std::env::current_exe().unwrap())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    }

    #[test]
    fn servers_of_one_address_collide() {
        let local = tcp(Some("127.0.0.1"), 80);
        assert!(collide(&local, &tcp(None, 80)));
        assert!(collide(&local, &local));
        assert!(!collide(&local, &tcp(Some("127.0.0.2"), 80)));
        assert!(!collide(&local, &tcp(Some("127.0.0.1"), 81)));
        assert!(!collide(&tcp(None, 0), &tcp(None, 0)));
        let shared = Query { reuse_port: true, ..local };
        assert!(!collide(&shared, &shared));
    }
}

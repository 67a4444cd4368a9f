use std::{
    net::TcpListener,
    os::{fd::AsFd, unix::net::UnixListener},
    path::{Path, PathBuf},
};

use super::{activation::Given, *};
use crate::sys::adopt::query_of;

fn tcp(address: Option<&str>, port: u16) -> Query {
    Query::new(Target::Tcp { address: address.map(str::to_owned), port })
}

fn unix(path: &Path) -> Query {
    Query::new(Target::Unix { path: path.display().to_string() })
}

fn socket_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rs-inherit-{}-{name}", std::process::id()))
}

/// A socket that the other primary offers, by the query that had bound it there.
fn offered(listener: ListenerId, query: Query, socket: &impl AsFd) -> InheritedListener {
    let sockets = vec![socket.as_fd().try_clone_to_owned().unwrap()];
    let source = Source::Upgraded { listener, has_file: true, is_activated: false };
    InheritedListener { source, query: Some(query), address: None, data: None, sockets }
}

fn two_listeners() -> (TcpListener, TcpListener) {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    (listen(), listen())
}

#[test]
fn an_address_is_found_with_all_its_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pool = Inherited::default();
    let mut it = offered(7, tcp(Some("127.0.0.1"), port), &listener);
    it.data = Some(serde_json::json!(1));
    it.sockets.push(second.as_fd().try_clone_to_owned().unwrap());
    // The same socket once more.
    it.sockets.push(listener.as_fd().try_clone_to_owned().unwrap());
    pool.add(it);
    assert!(pool.find(&tcp(None, port)).is_none());
    let query = tcp(Some("127.0.0.1"), port);
    assert_eq!(pool.find(&query).unwrap().sockets.len(), 3);
    let adopted = pool.adopt(&query).unwrap().unwrap();
    assert_eq!(adopted.sockets.len(), 2);
    assert_eq!(adopted.data, Some(serde_json::json!(1)));
    assert_eq!(adopted.address.unwrap().port, port);
    pool.serve(&query, 3);
    assert_eq!(pool.listener_for(7), Some(3));
    assert_eq!(pool.heirs().collect::<Vec<_>>(), [(7, 3)]);
    assert!(pool.adopt(&query).unwrap().is_some(), "for a worker that listens again");
    pool.commit();
    assert!(pool.adopt(&query).unwrap().is_none(), "the address can be free again");
    assert_eq!(pool.listener_for(7), Some(3));
}

#[test]
fn a_port_that_the_kernel_has_chosen_and_a_descriptor_are_found_by_what_was_asked_for() {
    let (one, other) = two_listeners();
    let mut pool = Inherited::default();
    let second = Query { index: 1, ..tcp(None, 0) };
    pool.add(offered(1, tcp(None, 0), &one));
    pool.add(offered(2, second.clone(), &other));
    let descriptor = Query::new(Target::Descriptor { fd: 3, datagrams: false });
    pool.add(offered(3, descriptor.clone(), &one));
    let found = |query: &Query| pool.find(query).map(|it| it.source.clone());
    let source = |listener| Source::Upgraded { listener, has_file: true, is_activated: false };
    assert_eq!(found(&tcp(None, 0)), Some(source(1)));
    assert_eq!(found(&second), Some(source(2)));
    assert_eq!(found(&descriptor), Some(source(3)));
    assert_eq!(found(&Query { index: 2, ..second }), None);
    let adopted = pool.adopt(&descriptor).unwrap().unwrap();
    assert_eq!(adopted.sockets[0].keeper(), Some(Keeper::Program));
}

#[test]
fn a_file_belongs_to_the_other_primary_until_the_commit() {
    let path = socket_path("commit");
    let listener = UnixListener::bind(&path).unwrap();
    let mut pool = Inherited::default();
    pool.add(offered(1, unix(&path), &listener));
    let adopt = |pool: &Inherited| pool.adopt(&unix(&path)).unwrap().unwrap().sockets.remove(0);
    let bound = adopt(&pool);
    assert!(!bound.has_file());
    drop(bound);
    assert!(path.exists(), "it is not this process's");
    let bound = adopt(&pool);
    bound.own();
    assert!(bound.has_file());
    bound.disown();
    drop(bound);
    assert!(path.exists(), "it is another process's again");
    let bound = adopt(&pool);
    bound.own();
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn a_socket_whose_file_is_gone_is_bound_anew() {
    let path = socket_path("removed");
    let listener = UnixListener::bind(&path).unwrap();
    let mut pool = Inherited::default();
    pool.add(offered(1, unix(&path), &listener));
    pool.commit();
    // The file goes with the socket, which is this process's own.
    drop(pool.adopt(&unix(&path)).unwrap().unwrap());
    assert!(!path.exists());
    assert!(pool.adopt(&unix(&path)).unwrap().is_none());
}

#[test]
fn what_no_worker_serves_closes_with_the_other_primary() {
    let (one, other) = two_listeners();
    let query = |socket: &TcpListener| query_of(socket).unwrap();
    let mut pool = Inherited::default();
    pool.add(offered(1, query(&one), &one));
    pool.add(offered(2, query(&other), &other));
    pool.serve(&query(&one), 5);
    pool.commit();
    assert!(pool.find(&query(&one)).is_none());
    assert!(pool.find(&query(&other)).is_some(), "a worker may still ask for it");
    let path = socket_path("unserved");
    let unserved = UnixListener::bind(&path).unwrap();
    pool.add(offered(3, unix(&path), &unserved));
    let names = [store_name(&other).unwrap(), store_name(&unserved).unwrap()];
    assert_eq!(pool.close_upgraded(), names);
    assert!(pool.find(&query(&other)).is_none());
    assert!(!path.exists());
    assert!(!listen::is_listening(&other));
    assert!(listen::is_listening(&one));
}

#[test]
fn what_the_service_manager_has_bound_is_kept() {
    let path = socket_path("activated");
    let listener = UnixListener::bind(&path).unwrap();
    let mut pool = Inherited::default();
    pool.activate(Given { fd: listener.as_raw_fd(), name: "app.socket".into() }).unwrap();
    let query = unix(&path);
    let bound = pool.adopt(&query).unwrap().unwrap().sockets.remove(0);
    assert_eq!(bound.keeper(), Some(Keeper::ServiceManager));
    bound.own();
    assert_eq!(bound.keeper(), Some(Keeper::ServiceManager), "for ever");
    drop(bound);
    assert!(path.exists());
    let unwanted = Unwanted { activated: vec![format!("unix {}", path.display())], stored: vec![] };
    assert_eq!(pool.end_wait(), unwanted);
    assert_eq!(pool.end_wait(), Unwanted::default(), "told once");
    pool.serve(&query, 1);
    pool.commit();
    assert!(pool.close_upgraded().is_empty());
    assert_eq!(pool.activated().count(), 1);
    assert!(pool.adopt(&query).unwrap().is_some());
    // Programs may have done it by hand.
    let descriptor = Query::new(Target::Descriptor { fd: listener.as_raw_fd(), datagrams: false });
    assert!(pool.find(&descriptor).is_some());
    let number = listener.as_raw_fd();
    drop(listener);
    let _other = std::fs::File::open("/dev/null").unwrap();
    assert!(pool.find(&Query::new(Target::Descriptor { fd: number, datagrams: false })).is_none());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_an_ended_primary_has_stored_is_this_process_s_own() {
    let (path, unserved) = (socket_path("stored"), socket_path("unserved"));
    let listeners = [&path, &unserved].map(|path| UnixListener::bind(path).unwrap());
    let mut pool = Inherited::default();
    for listener in &listeners {
        let name = store_name(listener).unwrap();
        pool.activate(Given { fd: listener.as_raw_fd(), name }).unwrap();
    }
    let bound = pool.adopt(&unix(&path)).unwrap().unwrap().sockets.remove(0);
    pool.serve(&unix(&path), 1);
    assert_eq!((bound.keeper(), bound.has_file()), (None, true));
    assert!(pool.find(&unix(&path)).is_none());
    let stored = vec![store_name(&listeners[1]).unwrap()];
    assert_eq!(pool.end_wait(), Unwanted { activated: vec![], stored });
    assert!(!unserved.exists());
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn a_descriptor_of_another_kind_is_refused_and_stays() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut pool = Inherited::default();
    let given = |fd| Given { fd, name: String::new() };
    let refused = pool.activate(given(file.as_raw_fd())).unwrap_err();
    assert_eq!(refused, "is not a socket of TCP, UDP or a stream of Unix");
    assert!(file.metadata().is_ok());
    assert_eq!(pool.activate(given(1_000_000)).unwrap_err(), "is not open");
    assert_eq!(pool.activated().count(), 0);
}

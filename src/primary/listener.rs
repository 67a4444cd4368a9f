use std::{
    collections::{HashSet, VecDeque},
    io,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
    time::Instant,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    task::JoinHandle,
};

use super::stats::{Counts, Histogram, ListenerStats};
use crate::{
    protocol::{
        WorkerId,
        control::{BoundAddress, Query, Target},
    },
    scheduler::Policy,
    sys::{
        listen::{self, Bound},
        watched,
    },
};

/// An address that workers serve.
pub(super) struct Listener {
    query: Query,
    /// The address as the story tells it.
    pub(super) name: String,
    pub(super) address: Option<BoundAddress>,
    /// What the first worker offered to its siblings.
    pub(super) data: Option<serde_json::Value>,
    members: HashSet<WorkerId>,
    pub(super) socket: Socket,
}

/// Who accepts.
pub(super) enum Socket {
    /// Each worker does, from this socket.
    Shared(Bound),
    /// The engine does, in `task`.
    Distributed(Box<Distribution>),
}

/// What it takes to hand connections out.
pub(super) struct Distribution {
    pub(super) policy: Box<dyn Policy>,
    /// Accepted, but in no lane: first those taken back or returned, then those accepted when the
    /// last lane filled up. While there are any, no more are accepted.
    pub(super) pending: VecDeque<Pending>,
    pub(super) accepted: u64,
    pub(super) counts: Counts,
    /// The times from being accepted to being handed over.
    pub(super) handover: Histogram,
    /// Members that have just returned a connection of this listener, and get a rest.
    pub(super) resting: HashSet<WorkerId>,
    /// While nobody serves the listener, until when connections wait for somebody who does.
    pub(super) held: Option<Instant>,
    /// Has the task look again at `pending` and `held`, if it waits.
    pub(super) room: Rc<Notify>,
    pub(super) task: JoinHandle<()>,
    /// The listening socket, which is the task's, and closes with it.
    pub(super) socket: Weak<AsyncFd<Bound>>,
}

/// A connection in no lane.
pub(super) struct Pending {
    pub(super) connection: OwnedFd,
    /// When it was accepted, unless it was in a lane before.
    pub(super) accepted: Option<Instant>,
}

impl Listener {
    pub(super) fn new(query: Query, address: Option<BoundAddress>, socket: Socket) -> Self {
        let name = name(address.as_ref(), &query.target);
        Self { query, name, address, data: None, members: HashSet::new(), socket }
    }

    /// Whether `worker` would get this listener for `query`: it is the same address, and not the
    /// worker's own from another of its servers, which must find the address in use.
    pub(super) fn suits(&self, query: &Query, worker: WorkerId) -> bool {
        self.query.target == query.target && self.query.index == query.index && !self.has(worker)
    }

    /// Whether the worker serves it.
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        self.members.contains(&worker)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &WorkerId> {
        self.members.iter()
    }

    pub(super) fn join(&mut self, worker: WorkerId) {
        self.members.insert(worker);
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.held = None;
            distribution.policy.join(worker);
        }
    }

    /// How it is now, unless its workers accept themselves.
    pub(super) fn stats(&self) -> Option<ListenerStats> {
        let Socket::Distributed(distribution) = &self.socket else {
            return None;
        };
        let mut workers: Vec<_> = self.members.iter().copied().collect();
        workers.sort_unstable();
        Some(ListenerStats {
            address: self.name.clone(),
            workers,
            accepted: distribution.accepted,
            counts: distribution.counts,
            waiting: distribution.pending.len(),
            handover: distribution.handover,
        })
    }

    /// Says whether that was the last member.
    pub(super) fn leave(&mut self, worker: WorkerId) -> bool {
        if !self.members.remove(&worker) {
            return false;
        }
        if let Socket::Distributed(distribution) = &mut self.socket {
            distribution.policy.leave(worker);
            distribution.resting.remove(&worker);
        }
        self.members.is_empty()
    }
}

fn name(address: Option<&BoundAddress>, target: &Target) -> String {
    match (address, target) {
        (Some(BoundAddress { address, port, .. }), _) if address.contains(':') => {
            format!("[{address}]:{port}")
        }
        (Some(BoundAddress { address, port, .. }), _) => format!("{address}:{port}"),
        (None, Target::Unix { path }) => path.replace('\0', "@"),
        (None, target) => format!("{target:?}"),
    }
}

impl Distribution {
    pub(super) fn new(
        policy: Box<dyn Policy>,
        room: Rc<Notify>,
        task: JoinHandle<()>,
        socket: Weak<AsyncFd<Bound>>,
    ) -> Self {
        Self {
            policy,
            pending: VecDeque::new(),
            accepted: 0,
            counts: Counts::default(),
            handover: Histogram::default(),
            resting: HashSet::new(),
            held: None,
            room,
            task,
            socket,
        }
    }

    /// A new connection, not in any lane yet.
    pub(super) fn accepted(&mut self, connection: OwnedFd) {
        self.accepted += 1;
        self.pending.push_back(Pending { connection, accepted: Some(Instant::now()) });
    }

    /// A connection that was in a lane. It has waited longer than the new ones.
    pub(super) fn returned(&mut self, connection: OwnedFd) {
        let behind = self.pending.partition_point(|pending| pending.accepted.is_none());
        self.pending.insert(behind, Pending { connection, accepted: None });
    }

    /// Whether connections wait in the engine, or in the kernel's backlog.
    pub(super) fn has_waiting(&mut self) -> bool {
        if self.pending.is_empty()
            && let Some(socket) = self.socket.upgrade()
            && let Ok(connection) = listen::accept(socket.get_ref())
        {
            self.accepted(connection);
        }
        !self.pending.is_empty()
    }

    /// The listening socket of a new distribution, ready to be waited on.
    pub(super) fn open(bound: Bound, query: &Query) -> io::Result<AsyncFd<Bound>> {
        listen::start(&bound, query)?;
        watched::watch(bound, Interest::READABLE)
    }
}

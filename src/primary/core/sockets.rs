//! The listening sockets of one listener: one where the engine accepts, or one for each worker.

use std::collections::HashSet;

use super::{
    driver::{Driver, Socket},
    stats::Owner,
};
use crate::protocol::{WorkerId, control::Query};

/// Tells the sockets of a listener apart. Ids grow.
pub(crate) type SocketId = u64;

/// A listening socket.
pub(crate) struct ListeningSocket<D: Driver> {
    id: SocketId,
    pub(crate) socket: D::Socket,
    /// The worker that it is assigned to.
    owner: Option<Owner>,
    /// Workers that have, or have had, a descriptor of it, and whose processes live. One that has kept it
    /// can do harm to the worker that accepts from it.
    holders: HashSet<WorkerId>,
}

impl<D: Driver> ListeningSocket<D> {
    #[cfg(test)]
    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    pub(crate) fn owner(&self) -> Option<WorkerId> {
        self.owner.as_ref().map(|owner| owner.worker)
    }

    /// Whether it may be assigned to the worker: it is assigned to none, and no other worker has it.
    fn is_free_for(&self, worker: WorkerId) -> bool {
        let is_alone = self.holders.iter().all(|holder| *holder == worker);
        self.owner.is_none() && is_alone && self.socket.is_listening()
    }
}

/// All sockets of a listener that hands out connections.
pub(crate) struct Sockets<D: Driver> {
    /// Whether each worker gets one of its own.
    pub(crate) are_own: bool,
    /// Those that are open, in the order of their ids: the first since the address is bound, the others
    /// since more workers need one.
    open: Vec<ListeningSocket<D>>,
    last_id: SocketId,
}

impl<D: Driver> Sockets<D> {
    pub(crate) fn new(are_own: bool) -> Self {
        Self { are_own, open: Vec::new(), last_id: 0 }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ListeningSocket<D>> {
        self.open.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn next_id(&mut self) -> SocketId {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn add(&mut self, id: SocketId, socket: D::Socket) {
        self.open.push(ListeningSocket { id, socket, owner: None, holders: HashSet::new() });
    }

    /// The socket with this id, as long as it is open.
    pub(crate) fn get(&self, id: SocketId) -> Option<&ListeningSocket<D>> {
        self.open.get(self.open.binary_search_by_key(&id, |socket| socket.id).ok()?)
    }

    /// Removes one that is about to be closed. Returns the worker that it was assigned to.
    pub(crate) fn remove(&mut self, id: SocketId) -> Option<WorkerId> {
        let owner = self.get(id).and_then(ListeningSocket::owner);
        self.open.retain(|socket| socket.id != id);
        owner
    }

    /// The socket that the worker gets, if workers have their own and there is one for it.
    pub(crate) fn free_for(&self, worker: WorkerId) -> Option<&ListeningSocket<D>> {
        self.open.iter().find(|socket| self.are_own && socket.is_free_for(worker))
    }

    /// Assigns the socket that is [free](Self::free_for) for it to a worker.
    pub(crate) fn assign(&mut self, owner: Owner) {
        let worker = owner.worker;
        if let Some(socket) = self.open.iter_mut().find(|socket| socket.is_free_for(worker)) {
            socket.holders.insert(worker);
            socket.owner = Some(owner);
        }
    }

    /// Takes back what was assigned to the worker. Says whether there was something.
    pub(crate) fn unassign(&mut self, worker: WorkerId) -> bool {
        let own = self.open.iter_mut().filter(|socket| socket.owner() == Some(worker));
        own.map(|socket| socket.owner = None).count() > 0
    }

    /// Whether a socket is assigned to the worker.
    pub(crate) fn has_owner(&self, worker: WorkerId) -> bool {
        self.open.iter().any(|socket| socket.owner() == Some(worker))
    }

    /// Those to which sockets are assigned.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        self.open.iter().filter_map(|socket| socket.owner.clone()).collect()
    }

    /// The worker's process has ended: it has none of them any more.
    pub(crate) fn forget(&mut self, worker: WorkerId) {
        for socket in &mut self.open {
            socket.holders.remove(&worker);
        }
    }

    /// One that listens.
    pub(crate) fn listening(&self) -> Option<&D::Socket> {
        self.open.iter().map(|it| &it.socket).find(|socket| socket.is_listening())
    }

    /// Whether one is open.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes all. `is_last`: no worker is to have them.
    pub(crate) fn close(&mut self, is_last: bool) {
        self.open.drain(..).for_each(|it| it.socket.close(is_last));
    }

    /// Accepts what waits at all of them, as far as there are descriptors for it.
    pub(crate) fn accept_backlogs(&self, query: &Query) -> Vec<D::Connection> {
        let mut accepted = Vec::new();
        for it in &self.open {
            if !it.socket.accept_backlog(query, &mut |connection| accepted.push(connection)) {
                break;
            }
        }
        accepted
    }
}

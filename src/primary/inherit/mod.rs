//! Listening sockets that come from elsewhere, until workers ask for their addresses: from the service manager
//! ([`activation`]), or from the primary before this one ([`takeover`]).

pub mod activation;
mod queues;
mod store_name;
pub mod takeover;

use std::{
    collections::HashMap,
    io,
    mem::{replace, take},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::Path,
};

use serde_json::Value;

use self::queues::Queues;
pub use self::{
    queues::{is_queue_name, queue_name},
    store_name::{is_store_name, store_name},
};
use crate::{
    protocol::{
        ListenerId,
        control::{BoundAddress, Query, Target},
    },
    sys::{
        adopt::{are_same, describe, suits},
        duplicate,
        listen::{self, Bound, Keeper, bound_address},
    },
};

/// The sockets. This pool has descriptors of its own, so that an address stays open while no worker serves it.
#[derive(Debug, Default)]
pub struct Inherited {
    listeners: Vec<InheritedListener>,
    /// The hand-off queues of a primary that was killed.
    queues: Queues,
    /// The listeners here that serve what the other primary has offered, by its numbers.
    heirs: HashMap<ListenerId, ListenerId>,
    /// Whether this primary has taken the place of the other one, if there is one.
    is_committed: bool,
    /// Whether what no worker wants has been told.
    is_told: bool,
}

/// The sockets of one address.
#[derive(Debug)]
pub struct InheritedListener {
    /// Where they come from.
    pub source: Source,
    /// What workers have asked for to get them, or would have to.
    pub query: Option<Query>,
    /// The address that workers see.
    pub address: Option<BoundAddress>,
    /// What a worker offered to the others.
    pub data: Option<Value>,
    /// At least one.
    pub sockets: Vec<OwnedFd>,
}

/// Where sockets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The service manager has bound it, and keeps it.
    Activated {
        /// The name of its descriptor.
        name: String,
        /// The number of its descriptor here, which programs may know.
        fd: Option<RawFd>,
        /// Whether a worker has asked for it.
        is_wanted: bool,
    },
    /// A primary that has ended bound it, and stored it at the service manager.
    Stored {
        /// The name of its descriptor there.
        name: String,
    },
    /// The other primary has it, and hands it over.
    Upgraded {
        /// Its name for it.
        listener: ListenerId,
        /// Whether the file of a Unix socket is to be removed when the socket closes.
        has_file: bool,
        /// Whether the service manager has bound it.
        is_activated: bool,
    },
}

/// Duplicates of all sockets of an address, for a listener.
#[derive(Debug)]
pub struct Adopted {
    /// At least one.
    pub sockets: Vec<Bound>,
    /// The address that workers see.
    pub address: Option<BoundAddress>,
    /// What a worker offered to the others.
    pub data: Option<Value>,
}

/// What no worker has asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unwanted {
    /// The addresses that the service manager has bound, for people.
    pub activated: Vec<String>,
    /// The names of what was stored there, and is closed here now.
    pub stored: Vec<String>,
}

impl Inherited {
    /// Adds the sockets of an address.
    pub fn add(&mut self, listener: InheritedListener) {
        if !listener.sockets.is_empty() {
            self.listeners.push(listener);
        }
    }

    /// The sockets of the address that a worker asks for, if there are any.
    pub fn find(&self, query: &Query) -> Option<&InheritedListener> {
        self.listeners.iter().find(|it| it.is_for(query))
    }

    /// Duplicates all sockets of the address that a worker asks for; `None` if there are none.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn adopt(&self, query: &Query) -> io::Result<Option<Adopted>> {
        let (mut sockets, mut data) = (Vec::<Bound>::new(), None);
        let is_usable = |it: &&InheritedListener| !(self.is_committed && it.has_lost_file());
        for listener in self.listeners.iter().filter(|it| it.is_for(query)).filter(is_usable) {
            data = data.or_else(|| listener.data.clone());
            for socket in &listener.sockets {
                if !sockets.iter().any(|it| are_same(it, socket)) {
                    sockets.push(listener.adopt(socket.try_clone()?, self.is_committed)?);
                }
            }
        }
        let Some(first) = sockets.first() else {
            return Ok(None);
        };
        let address = bound_address(first)?;
        Ok(Some(Adopted { sockets, address, data }))
    }

    /// This listener has adopted the sockets of the address that a worker has asked for.
    pub fn serve(&mut self, query: &Query, id: ListenerId) {
        for listener in self.listeners.iter_mut().filter(|it| it.is_for(query)) {
            match &mut listener.source {
                Source::Activated { is_wanted, .. } => *is_wanted = true,
                Source::Upgraded { listener, .. } => {
                    self.heirs.insert(*listener, id);
                }
                Source::Stored { .. } => {}
            }
        }
        // They are this process's own, so that the address is free when it closes them.
        self.listeners
            .retain(|it| !matches!(it.source, Source::Stored { .. }) || !it.is_for(query));
        if self.is_committed {
            self.release_taken();
        }
    }

    /// The listener here that serves what the other primary has offered by this name.
    pub fn listener_for(&self, offered: ListenerId) -> Option<ListenerId> {
        self.heirs.get(&offered).copied()
    }

    /// What the other primary has offered and a listener here serves: its name for it, and that listener.
    pub fn heirs(&self) -> impl Iterator<Item = (ListenerId, ListenerId)> {
        self.heirs.iter().map(|(&offered, &here)| (offered, here))
    }

    /// What the service manager has bound.
    pub fn activated(&self) -> impl Iterator<Item = &InheritedListener> {
        self.listeners.iter().filter(|it| it.source.is_activated())
    }

    /// This process has taken the place of the other primary. What a listener serves is its own now, so that the
    /// address is free when that closes it.
    pub fn commit(&mut self) {
        self.is_committed = true;
        self.release_taken();
        for listener in &mut self.listeners {
            if matches!(listener.source, Source::Upgraded { is_activated: true, .. }) {
                listener.source = activated_before(false);
            }
        }
    }

    /// The other primary has ended: closes what no listener here serves. Returns the names by which that may be stored
    /// at the service manager.
    pub fn close_upgraded(&mut self) -> Vec<String> {
        self.commit();
        let is_unserved = |it: &InheritedListener| matches!(it.source, Source::Upgraded { .. });
        let (unserved, others) = take(&mut self.listeners).into_iter().partition(is_unserved);
        self.listeners = others;
        let names = |it: &InheritedListener| it.sockets.iter().filter_map(store_name).collect();
        let names = unserved.iter().flat_map::<Vec<_>, _>(names).collect();
        unserved.iter().for_each(InheritedListener::end);
        names
    }

    /// Supervision begins: takes what waits in queues, and closes the numbers that no program knows. Returns the names
    /// of what is of no use any more.
    pub fn begin(&mut self) -> Vec<String> {
        self.queues.begin()
    }

    /// The connections of which this is true: a listener is there for them.
    pub fn take_connections(&mut self, is_its: impl FnMut(&mut OwnedFd) -> bool) -> Vec<OwnedFd> {
        self.queues.take_connections(is_its)
    }

    /// Whether a descriptor with this number belongs to this pool.
    pub fn owns(&self, fd: RawFd) -> bool {
        self.listeners.iter().flat_map(|it| &it.sockets).any(|it| it.as_raw_fd() == fd)
    }

    /// All workers are ready: tells once which addresses none of them has asked for, and closes those that an ended
    /// primary has bound.
    pub fn end_wait(&mut self) -> Unwanted {
        let mut unwanted = Unwanted::default();
        if replace(&mut self.is_told, true) {
            return unwanted;
        }
        self.queues.close_connections();
        for listener in &self.listeners {
            match &listener.source {
                Source::Activated { is_wanted: false, name, .. } => {
                    let address = listener.sockets.first().and_then(describe);
                    unwanted.activated.push(address.unwrap_or_else(|| name.clone()));
                }
                Source::Stored { name } => {
                    unwanted.stored.push(name.clone());
                    listener.end();
                }
                Source::Activated { .. } | Source::Upgraded { .. } => {}
            }
        }
        self.listeners.retain(|it| !matches!(it.source, Source::Stored { .. }));
        unwanted
    }

    /// Closes the descriptors here of what a listener has adopted from the other primary.
    fn release_taken(&mut self) {
        let heirs = &self.heirs;
        self.listeners.retain_mut(|it| match it.source {
            Source::Upgraded { listener, is_activated, .. } if heirs.contains_key(&listener) => {
                it.source = activated_before(true);
                is_activated
            }
            _ => true,
        });
    }
}

impl InheritedListener {
    /// Whether a worker that asks for this gets these sockets.
    fn is_for(&self, query: &Query) -> bool {
        match (&self.source, &query.target) {
            // A number of this process.
            (Source::Activated { fd, .. }, Target::Descriptor { fd: wanted, .. }) => {
                *fd == Some(*wanted) && self.is_open_at(*wanted)
            }
            // A number of the other primary, or a port that the kernel has chosen for it.
            (Source::Upgraded { .. }, target) if self.is_asked_for(target, query.index) => true,
            _ => self.sockets.iter().any(|it| suits(it, query)),
        }
    }

    /// Whether the other primary has closed a Unix socket, and removed the file, so that no client finds it.
    fn has_lost_file(&self) -> bool {
        let target = self.query.as_ref().map(|it| &it.target);
        match (&self.source, target) {
            (Source::Upgraded { has_file: true, .. }, Some(Target::Unix { path })) => {
                !Path::new(path).exists()
            }
            _ => false,
        }
    }

    fn is_asked_for(&self, target: &Target, index: u32) -> bool {
        self.query.as_ref().is_some_and(|it| it.target == *target && it.index == index)
    }

    /// Whether this process still has the socket by this number.
    fn is_open_at(&self, fd: RawFd) -> bool {
        let socket = self.sockets.first();
        duplicate(fd).is_ok_and(|it| socket.is_some_and(|socket| are_same(it, socket)))
    }

    /// Ends listening, in whatever process the sockets are open, and removes the file of a Unix socket; unless the
    /// service manager or a program keeps them.
    fn end(&self) {
        for socket in &self.sockets {
            let bound = socket.try_clone().and_then(|copy| self.adopt(copy, true));
            if let Ok(bound) = bound
                && bound.keeper().is_none()
            {
                listen::stop(bound.as_raw_fd());
            }
        }
    }

    fn adopt(&self, socket: OwnedFd, is_committed: bool) -> io::Result<Bound> {
        let target = self.query.as_ref().map(|it| &it.target);
        let path = match target {
            Some(Target::Unix { path }) if !path.starts_with('\0') => Some(path),
            _ => None,
        };
        let (keeper, has_file) = match &self.source {
            source if source.is_activated() => (Some(Keeper::ServiceManager), false),
            _ if matches!(target, Some(Target::Descriptor { .. })) => {
                (Some(Keeper::Program), false)
            }
            Source::Upgraded { has_file, .. } if !is_committed => {
                let file = path.filter(|_| *has_file).cloned();
                (Some(Keeper::OtherPrimary { file }), false)
            }
            Source::Upgraded { has_file, .. } => (None, *has_file),
            _ => (None, true),
        };
        Bound::adopt(socket, keeper, path.filter(|_| has_file).map(String::as_str))
    }
}

impl Source {
    /// Whether the service manager has bound it.
    pub fn is_activated(&self) -> bool {
        matches!(self, Self::Activated { .. } | Self::Upgraded { is_activated: true, .. })
    }
}

/// Bound by the service manager for a primary before this one.
fn activated_before(is_wanted: bool) -> Source {
    Source::Activated { name: String::new(), fd: None, is_wanted }
}

#[cfg(test)]
mod tests;

//! Keeps listening sockets open at the service manager, so that they outlive a crash of this process: `FDSTORE` of
//! `sd_notify(3)`.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

use super::super::{
    inherit::{is_queue_name, queue_name, store_name},
    messages::NotifySocket,
};
use crate::{
    protocol::WorkerId,
    sys::{Notifier, Sent, listen::Bound},
};

/// How soon a message is sent again for which there was no room.
const RETRY: Duration = Duration::from_millis(100);

/// How long the service manager may take to close what it was told to remove, which it does not report.
const RELEASING: Duration = Duration::from_millis(500);

/// What the service manager stores for this process.
pub(super) struct FdStore {
    notifier: Notifier,
    /// How many descriptors it takes.
    limit: usize,
    /// How many sockets with each name are open here.
    stored: RefCell<HashMap<String, usize>>,
    /// In their order.
    unsent: RefCell<VecDeque<Unsent>>,
    /// Whether another process speaks for the service.
    is_silent: Cell<bool>,
    changed: Notify,
    /// When the service manager was last told to remove something.
    released: Cell<Option<Instant>>,
}

enum Unsent {
    /// `is_polled`: the service manager removes it by itself when its other end is closed, or it listens no more.
    Store {
        name: String,
        socket: OwnedFd,
        is_polled: bool,
    },
    Remove {
        name: String,
    },
}

/// A socket that the service manager stores. It removes all of a name when the last of them is dropped.
pub(super) struct Stored {
    store: Rc<FdStore>,
    name: String,
    is_left: Cell<bool>,
}

impl FdStore {
    /// `None` where the service manager takes no descriptors.
    pub(super) fn new(socket: &NotifySocket) -> Option<Self> {
        let limit = socket.stores;
        let notifier = Notifier::open(&socket.name).filter(|_| limit > 0)?;
        let (stored, unsent, is_silent, changed, released) = Default::default();
        Some(Self { notifier, limit, stored, unsent, is_silent, changed, released })
    }

    /// Says nothing until [`speak`](Self::speak), because another process is the service.
    pub(super) fn be_silent(&self) {
        self.is_silent.set(true);
    }

    /// Another process is the service from now on. It has no use for the queues of this one.
    pub(super) fn hand_over(&self) {
        let stored = self.stored.borrow();
        let queues = stored.keys().filter(|name| is_queue_name(name)).cloned();
        self.unsent.borrow_mut().extend(queues.map(|name| Unsent::Remove { name }));
        drop(stored);
        self.send();
        self.be_silent();
    }

    /// This process is the service: says what it has not said.
    pub(super) fn speak(&self) {
        self.is_silent.set(false);
        self.changed.notify_one();
    }

    /// Stores a socket until what this returns is dropped; `None` for one that something else keeps, and where there is
    /// no room.
    pub(super) fn store(self: &Rc<Self>, bound: &Bound) -> Option<Stored> {
        if bound.keeper().is_some() {
            return None;
        }
        self.store_as(store_name(bound)?, &bound.socket, true)
    }

    /// Stores the receiving end of a worker's hand-off queue, with what waits there.
    pub(super) fn store_queue(
        self: &Rc<Self>,
        worker: WorkerId,
        queue: &OwnedFd,
    ) -> Option<Stored> {
        let stored = self.stored.borrow();
        let queues = stored.keys().filter(|name| is_queue_name(name)).count();
        drop(stored);
        // The rest is for listening sockets, without which no client can connect.
        if queues >= self.limit / 2 {
            return None;
        }
        self.store_as(queue_name(worker), queue, false)
    }

    fn store_as(
        self: &Rc<Self>,
        name: String,
        socket: &OwnedFd,
        is_polled: bool,
    ) -> Option<Stored> {
        if self.stored.borrow().values().sum::<usize>() >= self.limit {
            return None;
        }
        let socket = socket.try_clone().ok()?;
        let message = Unsent::Store { name: name.clone(), socket, is_polled };
        self.unsent.borrow_mut().push_back(message);
        *self.stored.borrow_mut().entry(name.clone()).or_default() += 1;
        self.tell();
        Some(Stored { store: Rc::clone(self), name, is_left: Cell::new(false) })
    }

    /// Removes what is stored by this name, unless a socket here has it.
    pub(super) fn remove(&self, name: String) {
        if self.stored.borrow().contains_key(&name) {
            return;
        }
        let mut unsent = self.unsent.borrow_mut();
        // What has not been sent would keep the address open.
        unsent.retain(|it| !matches!(it, Unsent::Store { name: other, .. } if *other == name));
        unsent.push_back(Unsent::Remove { name });
        drop(unsent);
        self.released.set(Some(Instant::now()));
        self.tell();
    }

    /// Whether the service manager may still have a socket open that it was told to remove.
    pub(super) fn is_releasing(&self) -> bool {
        self.released.get().is_some_and(|it| it.elapsed() < RELEASING)
    }

    fn tell(&self) {
        if !self.is_silent.get() && !self.send() {
            self.changed.notify_one();
        }
    }

    /// Sends what there is room for. Says whether that was all.
    fn send(&self) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        while let Some(message) = unsent.front() {
            let sent = match message {
                Unsent::Store { name, socket, is_polled } => {
                    let poll = if *is_polled { "" } else { "\nFDPOLL=0" };
                    let text = format!("FDSTORE=1\nFDNAME={name}{poll}");
                    self.notifier.send_descriptor(&text, socket)
                }
                Unsent::Remove { name } => {
                    self.notifier.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"))
                }
            };
            if sent == Sent::Full {
                return false;
            }
            unsent.pop_front();
        }
        true
    }

    fn forget(&self, name: &str) {
        let mut stored = self.stored.borrow_mut();
        if let Some(count) = stored.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                stored.remove(name);
            }
        }
    }
}

impl Stored {
    /// Another process goes on with the socket, or the service manager is to give it to the next one.
    pub(super) fn leave(self) {
        self.is_left.set(true);
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.store.forget(&self.name);
        if !self.is_left.get() {
            self.store.remove(std::mem::take(&mut self.name));
        }
    }
}

/// Sends what there was no room for.
pub(super) async fn send_again(store: Rc<FdStore>) {
    loop {
        store.changed.notified().await;
        while !store.is_silent.get() && !store.send() {
            sleep(RETRY).await;
        }
    }
}

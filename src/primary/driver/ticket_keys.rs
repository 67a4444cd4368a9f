//! The keys of TLS session tickets, and the workers that have asked for them.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{task::spawn_local, time::sleep};

use super::{
    super::{
        core::driver::{Lanes, Unread},
        ticket_keys::{Bytes, LENGTH, TicketKeys},
    },
    debug_log::DebugLog,
    lanes::WorkerLanes,
};
use crate::protocol::{control::ToWorker, upgrade::TicketKey};

/// The keys that all workers with TLS servers have.
pub(super) struct SharedTicketKeys {
    keys: RefCell<TicketKeys>,
    workers: RefCell<Vec<Weak<WorkerLanes>>>,
    /// Whether a task waits for the end of a period.
    is_rotating: Cell<bool>,
    log: DebugLog,
}

impl SharedTicketKeys {
    /// A period is how long a key is the current one.
    pub(super) fn new(period: Duration, log: DebugLog) -> Self {
        Self {
            keys: RefCell::new(TicketKeys::new(period)),
            workers: RefCell::default(),
            is_rotating: Cell::new(false),
            log,
        }
    }

    /// Gives a worker that has a TLS server the keys, now and whenever they change.
    ///
    /// # Errors
    /// When the worker does not read its messages.
    pub(super) fn give(self: &Rc<Self>, lanes: &Rc<WorkerLanes>) -> Result<(), Unread> {
        let mut workers = self.workers.borrow_mut();
        workers.retain(|worker| worker.strong_count() > 0);
        if !workers.iter().any(|worker| worker.as_ptr() == Rc::as_ptr(lanes)) {
            workers.push(Rc::downgrade(lanes));
        }
        drop(workers);
        if !self.is_rotating.replace(true) {
            drop(spawn_local(rotate(Rc::clone(self))));
        }
        if self.rotate_if_due() { Ok(()) } else { self.send(lanes) }
    }

    /// What the next primary gets.
    pub(super) fn offer(&self) -> Vec<TicketKey> {
        self.keys.borrow().offer()
    }

    /// Goes on with the keys of the primary before this one.
    pub(super) fn adopt(&self, offered: &[TicketKey]) {
        self.keys.borrow_mut().adopt(offered);
        self.send_to_all();
    }

    /// Makes a new key, which all workers get, if the current one has been that for long enough. Returns whether it has.
    fn rotate_if_due(&self) -> bool {
        let now = now();
        if self.keys.borrow().left(now) > 0 {
            return false;
        }
        let mut bytes = Bytes::new([0; LENGTH]);
        if let Err(error) = getrandom::fill(&mut *bytes) {
            // Servers go on with the keys that they have.
            self.log.write(format_args!("no random bytes for a ticket key: {error}"));
            return false;
        }
        self.keys.borrow_mut().rotate(bytes, now);
        self.send_to_all();
        true
    }

    fn send_to_all(&self) {
        let workers: Vec<_> = self.workers.borrow().iter().filter_map(Weak::upgrade).collect();
        for lanes in workers {
            // A worker that does not read gets the next keys, or is told to leave by what it asks for.
            let _ = self.send(&lanes);
        }
    }

    fn send(&self, lanes: &Rc<WorkerLanes>) -> Result<(), Unread> {
        let keys = self.keys.borrow().texts();
        if keys.is_empty() { Ok(()) } else { lanes.send(&ToWorker::TicketKeys { keys }, None) }
    }

    fn has_workers(&self) -> bool {
        self.workers.borrow().iter().any(|worker| worker.strong_count() > 0)
    }
}

/// Makes a new key at the end of each period, as long as a worker has TLS servers.
async fn rotate(shared: Rc<SharedTicketKeys>) {
    loop {
        let left = shared.keys.borrow().left(now());
        sleep(Duration::from_millis(left).max(RETRY)).await;
        if !shared.has_workers() {
            break;
        }
        shared.rotate_if_due();
    }
    shared.is_rotating.set(false);
}

/// How soon to try again where the system gives no random bytes, and how often to rotate at most.
const RETRY: Duration = Duration::from_millis(100);

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

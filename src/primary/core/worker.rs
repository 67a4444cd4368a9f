use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    availability::{Availability, Standing},
    drain::Drain,
    driver::{Driver, Lanes, NewWorker, TakenBack},
    progress::Progress,
    quota::{Claim, MAX_AWAITED, MAX_LISTENERS},
    round::Round,
    stats::{Counts, Owner, WorkerCounters},
    supervise::report::Generation,
};
use crate::protocol::{ListenerId, WorkerId, control::COUNTER_SLOTS};

/// One worker, as the core knows it.
pub(crate) struct Worker<D: Driver> {
    pub(crate) lanes: D::Lanes,
    pub(crate) counters: Arc<WorkerCounters>,
    /// How long connections wait for another worker when this one is the last to leave.
    pub(crate) queue_timeout: Duration,
    /// Runs as another user, whose files are not to be trusted.
    pub(crate) is_other_user: bool,
    /// Which version of the program it runs, if it is supervised.
    pub(super) generation: Option<Generation>,
    /// Whether it may get a connection. Changed by [`members`](super::members) only.
    pub(crate) availability: Availability,
    /// What it reports of its descriptors.
    pub(crate) claim: Claim,
    /// The listeners that it has joined with a server that serves HTTP.
    pub(super) http: HashSet<ListenerId>,
    /// How it drains, if it does.
    pub(crate) drain: Option<Drain>,
    /// Whether what waits in its queue stays there when it leaves, until its process has ended.
    pub(super) keeps_queue: bool,
    /// It has been killed, because it hangs.
    pub(super) is_killed: bool,
    /// It has reported that it does not exit, though it has disconnected.
    pub(crate) staying: bool,
    /// How many connections of each listener it has been given and may return, less those taken back or
    /// returned. `u64::MAX` where it accepts itself, which only it counts.
    given: HashMap<ListenerId, u64>,
    /// The sockets that it accepts from itself.
    pub(super) sockets: Vec<OwnSocket<D>>,
    /// Looks for what waits at them.
    pub(super) round: Round,
    pub(super) progress: Progress,
    /// How many addresses it waits for.
    awaited: usize,
}

/// A socket of a listener that a worker accepts from itself.
pub(super) struct OwnSocket<D: Driver> {
    listener: ListenerId,
    /// By which the worker knows it; none if it has more than it can count.
    slot: Option<u8>,
    pub(super) socket: D::Socket,
}

impl<D: Driver> Worker<D> {
    pub(crate) fn new(new: NewWorker<D>, now: Instant) -> Self {
        let NewWorker { lanes, counters, queue_timeout, is_other_user } = new;
        Self {
            lanes,
            counters,
            queue_timeout,
            is_other_user,
            generation: None,
            availability: Availability::default(),
            claim: Claim::default(),
            http: HashSet::new(),
            drain: None,
            keeps_queue: false,
            is_killed: false,
            staying: false,
            given: HashMap::new(),
            sockets: Vec::new(),
            round: Round::default(),
            progress: Progress::new(0, None, now),
            awaited: 0,
        }
    }

    /// Whether it serves, however full its queue.
    pub(crate) fn serves(&self) -> bool {
        self.availability.standing().serves()
    }

    /// Whether it may get a connection.
    pub(crate) fn is_available(&self) -> bool {
        self.availability.standing() == Standing::Available
    }

    /// How many connections wait for it in its queue; `None` when it may get no other one.
    pub(crate) fn waiting(&self) -> Option<usize> {
        (self.availability.standing() == Standing::Available).then(|| self.lanes.waiting())
    }

    /// How many connections it has; `None` when it may get no other one.
    pub(crate) fn open(&self) -> Option<usize> {
        (self.availability.standing() == Standing::Available).then(|| self.lanes.open())
    }

    /// Counts what became of one connection.
    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        self.counters.count(add);
    }

    /// A connection of this listener is in its queue.
    pub(crate) fn add_given(&mut self, listener: ListenerId) {
        let given = self.given.entry(listener).or_default();
        *given = given.saturating_add(1);
    }

    /// It has one connection of this listener less. Says whether it could have one.
    pub(crate) fn remove_given(&mut self, listener: ListenerId) -> bool {
        match self.given.get_mut(&listener) {
            None | Some(0) => false,
            Some(&mut u64::MAX) => true,
            Some(count) => {
                *count -= 1;
                true
            }
        }
    }

    /// Takes the first connection out of its queue, which it then has no more.
    pub(crate) fn take_back(&mut self) -> TakenBack<D::Connection> {
        loop {
            let taken_back = self.lanes.take_back();
            if let TakenBack::Connection(listener, _) | TakenBack::Closed(listener) = taken_back {
                self.remove_given(listener);
            }
            if !matches!(taken_back, TakenBack::Closed(_)) {
                return taken_back;
            }
        }
    }

    /// Whether it may have a connection of this listener.
    pub(crate) fn may_have(&self, listener: ListenerId) -> bool {
        self.given.get(&listener).is_some_and(|count| *count > 0)
    }

    /// Forgets of which closed listeners it has connections, when they are many.
    pub(crate) fn forget_given(&mut self, is_open: impl Fn(ListenerId) -> bool) {
        if self.given.len() > MAX_LISTENERS {
            self.given.retain(|listener, _| is_open(*listener));
        }
        self.http.retain(|listener| is_open(*listener));
    }

    /// Counts an address that it waits for, unless these are too many.
    pub(crate) fn begin_wait(&mut self) -> bool {
        let may_wait = self.awaited < MAX_AWAITED;
        self.awaited += usize::from(may_wait);
        may_wait
    }

    /// It waits for one address less.
    pub(crate) fn end_wait(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
    }

    /// Assigns a socket of the listener to the worker, and returns the slot by which the worker counts what
    /// it accepts there: none, if it has more sockets than slots.
    pub(crate) fn assign(&mut self, listener: ListenerId, socket: &D::Socket) -> Option<u8> {
        let is_free = |slot: &u8| self.sockets.iter().all(|own| own.slot != Some(*slot));
        let slot = (0..COUNTER_SLOTS as u8).find(is_free);
        self.given.insert(listener, u64::MAX);
        self.lanes.assigned(listener, socket);
        self.sockets.push(OwnSocket { listener, slot, socket: socket.clone() });
        slot
    }

    /// The worker as the owner of the socket that it counts in this slot.
    pub(crate) fn owner(&self, id: WorkerId, slot: Option<u8>) -> Owner {
        Owner::new(id, self.lanes.accept_counter(slot))
    }

    /// It accepts no more from its sockets of this listener.
    pub(crate) fn unassign(&mut self, listener: ListenerId) {
        self.lanes.unassigned(Some(listener));
        self.sockets.retain(|own| own.listener != listener);
    }

    /// It accepts no more from any socket of its own.
    pub(crate) fn unassign_all(&mut self) {
        self.lanes.unassigned(None);
        self.sockets.clear();
    }
}

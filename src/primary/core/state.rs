use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    deadlines::{Awaited, Deadlines, Due},
    driver::{Driver, NewWorker},
    listener::{Distribution, Listener},
    quota::{DESCRIPTOR_SHARE, Exceeded, MAX_LISTENERS},
    stats::Counters,
    successor::Successor,
    supervise::supervisor::Supervisor,
    supervise::watched::Looks,
    worker::Worker,
};
use crate::{
    protocol::{ListenerId, WorkerId},
    scheduler::Scheduling,
};

/// How long a primary is not warned again of connections that can't be accepted.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// Everything that the rules are about. Other files of this folder add the methods that change it; here
/// are the registries.
pub(crate) struct Core<D: Driver> {
    pub(crate) driver: D,
    pub(super) scheduling: Scheduling,
    /// What other threads read.
    pub(super) counters: Arc<Counters>,
    pub(super) workers: HashMap<WorkerId, Worker<D>>,
    /// Workers whose processes have ended, and connections of which may still come back.
    pub(super) departed: HashMap<WorkerId, Worker<D>>,
    pub(super) listeners: HashMap<ListenerId, Listener<D>>,
    /// How many ids listeners have been given. After the last one, they begin again with 1.
    listener_ids: u64,
    /// Workers for which connections may wait, in queues or at sockets of their own.
    pub(super) backlogged: BTreeSet<WorkerId>,
    /// The worker of which a sweep has read the state of the threads last.
    pub(super) last_loaded: WorkerId,
    /// Workers of which not all that waits could be taken back, for want of descriptors.
    pub(super) owed: HashSet<WorkerId>,
    /// Those whose last requests, with returned connections, can't be read yet.
    pub(super) returning: HashSet<WorkerId>,
    pub(super) deadlines: Deadlines,
    /// What is known of the workers' event loops.
    pub(super) looks: Looks,
    /// Keeps the slots of a supervised program filled.
    pub(super) supervisor: Option<Supervisor>,
    /// When the supervisor is to be told the time.
    pub(super) supervised: Awaited,
    /// Until when what waits in the engine may take to reach workers, before all of these drain.
    pub(super) flush: Option<Instant>,
    /// Workers that are started, and get no connections until they are ready.
    pub(super) withheld: HashSet<WorkerId>,
    /// Whether nothing is accepted, because another primary still serves the addresses.
    pub(super) stands_by: bool,
    /// Whether the primary whose place this one takes, or has taken, may still send connections.
    pub(super) follows: bool,
    /// The primary that is about to take over, or has.
    pub(super) successor: Option<Successor>,
}

impl<D: Driver> Core<D> {
    pub(crate) fn new(driver: D, scheduling: Scheduling, counters: Arc<Counters>) -> Self {
        Self {
            driver,
            scheduling,
            counters,
            workers: HashMap::new(),
            departed: HashMap::new(),
            listeners: HashMap::new(),
            listener_ids: 0,
            backlogged: BTreeSet::new(),
            last_loaded: 0,
            owed: HashSet::new(),
            returning: HashSet::new(),
            deadlines: Deadlines::default(),
            looks: Looks::default(),
            supervisor: None,
            supervised: Awaited::default(),
            flush: None,
            withheld: HashSet::new(),
            stands_by: false,
            follows: false,
            successor: None,
        }
    }

    /// When to call [`expire`](Self::expire), unless something else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Does everything that is due.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(due) = self.deadlines.take(now) {
            match due {
                Due::Sweep => self.sweep(now),
                Due::Reclaim => self.reclaim_owed(now),
                Due::Cooldown(listener, worker) => self.end_cooldown(worker, listener, now),
                Due::Claim(worker) => self.settle_claim(worker, now),
                Due::QueueTimeout(listener) => self.end_wait_of(listener, now),
                Due::Parked(listener) => self.end_parked(listener, now),
                Due::Drain(worker) => self.look_at_drain(worker, now),
                Due::Look => self.look(now),
                Due::LookAt(worker) => self.look_again(worker, now),
                Due::Supervision => self.look_at_supervision(now),
                Due::Use => self.look_at_use(now),
                Due::Flush => self.look_at_flush(now),
                Due::HandOver => self.look_at_hand_over(now),
            }
        }
    }

    pub(crate) fn add_worker(&mut self, id: WorkerId, new: NewWorker<D>, now: Instant) {
        let (slot, generation) = self.place_of(id).unzip();
        self.counters.add_worker(id, slot, Arc::clone(&new.counters));
        let mut worker = Worker::new(new, now);
        worker.generation = generation;
        self.workers.insert(id, worker);
        if self.stands_by || self.withheld.contains(&id) {
            self.withhold(id, now);
        }
        self.supervise(now, |supervisor| supervisor.started(id));
    }

    /// The worker's process has ended: it has none of the sockets any more, what it had not taken goes to
    /// others, and all that it was the last to serve is closed. Returns it, unless connections of it may
    /// still come back.
    pub(crate) fn remove_worker(&mut self, id: WorkerId, now: Instant) -> Option<Worker<D>> {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.keeps_queue = false;
        }
        self.withdraw(id, now);
        self.counters.remove_worker(id);
        let worker = self.workers.remove(&id)?;
        let timeout = worker.queue_timeout;
        let removed = if self.owed.remove(&id) || self.returning.contains(&id) {
            self.departed.insert(id, worker);
            self.deadlines.add(now, Due::Reclaim);
            None
        } else {
            Some(worker)
        };
        self.backlogged.remove(&id);
        for listener in self.listeners.values_mut() {
            if let Some(distribution) = listener.distribution_mut() {
                distribution.sockets.forget(id);
            }
        }
        let held = self.listeners.iter_mut();
        let held = held.filter_map(|(&it, listener)| listener.remove_holder(id).then_some(it));
        for listener in held.collect::<Vec<_>>() {
            self.left(listener, timeout, now);
        }
        removed
    }

    /// Connections of the worker may come back after its process has ended, until
    /// [`has_returned_all`](Self::has_returned_all).
    pub(crate) fn expect_returns(&mut self, id: WorkerId) {
        self.returning.insert(id);
    }

    /// The worker has returned all that it has.
    pub(crate) fn has_returned_all(&mut self, id: WorkerId, now: Instant) {
        self.returning.remove(&id);
        // The worker itself goes with what is to be taken back, if anything.
        self.deadlines.add(now, Due::Reclaim);
    }

    /// The worker has disconnected, and does not exit. Says whether that is new.
    pub(crate) fn set_staying(&mut self, id: WorkerId) -> bool {
        self.workers
            .get_mut(&id)
            .is_some_and(|worker| !std::mem::replace(&mut worker.staying, true))
    }

    pub(crate) fn is_withdrawn(&self, id: WorkerId) -> bool {
        self.workers.get(&id).is_none_or(|worker| worker.availability.is_withdrawn())
    }

    /// A worker, though its process may have ended, as long as connections of it may come back.
    pub(super) fn worker_or_departed(&self, id: WorkerId) -> Option<&Worker<D>> {
        self.workers.get(&id).or_else(|| self.departed.get(&id))
    }

    pub(crate) fn worker(&self, id: WorkerId) -> Option<&Worker<D>> {
        self.workers.get(&id)
    }

    /// A worker is to wait for an address, unless it waits for too many already.
    pub(crate) fn begin_wait(&mut self, id: WorkerId) -> bool {
        self.workers.get_mut(&id).is_some_and(Worker::begin_wait)
    }

    /// It waits no longer.
    pub(crate) fn end_wait(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.end_wait();
        }
    }

    /// Whether a worker may serve one more listener, where this process may have `limit` descriptors.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn may_listen(&self, id: WorkerId, limit: usize) -> Result<(), Exceeded> {
        let limit = MAX_LISTENERS.min(limit / DESCRIPTOR_SHARE);
        let count = self.listeners.values().filter(|listener| listener.has(id)).count();
        if count < limit { Ok(()) } else { Err(Exceeded { what: "listeners", limit }) }
    }

    /// The address to warn of, for people, if the listener can't accept for now and the primary has not
    /// just been warned.
    pub(crate) fn warn_of(&mut self, listener: ListenerId, now: Instant) -> Option<String> {
        let listener = self.listeners.get_mut(&listener)?;
        let address = listener.name.clone();
        let distribution = listener.distribution_mut()?;
        let is_due = |warned: &Instant| now.duration_since(*warned) >= WARNING_PAUSE;
        if !distribution.warned.as_ref().is_none_or(is_due) {
            return None;
        }
        distribution.warned = Some(now);
        Some(address)
    }

    /// All addresses that are served, or wait for a worker.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Listener<D>> {
        self.listeners.values()
    }

    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener<D>> {
        self.listeners.get(&id)
    }

    pub(crate) fn distribution(&mut self, listener: ListenerId) -> Option<&mut Distribution<D>> {
        self.listeners.get_mut(&listener)?.distribution_mut()
    }

    /// An id that no listener has, and of which no worker has a connection that it may return.
    pub(crate) fn next_listener(&mut self) -> ListenerId {
        loop {
            // From 1 on.
            let id = (self.listener_ids % u64::from(ListenerId::MAX)) as ListenerId + 1;
            self.listener_ids += 1;
            let mut workers = self.workers.values().chain(self.departed.values());
            if !self.listeners.contains_key(&id) && !workers.any(|it| it.may_have(id)) {
                return id;
            }
        }
    }

    /// A worker returns a connection of this listener, which it has no more. Says whether it could have one.
    pub(crate) fn take_returned(&mut self, id: WorkerId, listener: ListenerId) -> bool {
        let worker = self.workers.get_mut(&id).or_else(|| self.departed.get_mut(&id));
        worker.is_some_and(|worker| worker.remove_given(listener))
    }

    /// Whether the worker serves the listener by HTTP, or did before it left.
    pub(super) fn has_served_http(&self, id: WorkerId, listener: ListenerId) -> bool {
        self.worker_or_departed(id).is_some_and(|worker| worker.http.contains(&listener))
    }

    /// Whether there has been such a listener.
    pub(crate) fn has_given(&self, listener: ListenerId) -> bool {
        (1..=self.listener_ids).contains(&listener.into())
    }

    /// As if so many listeners had been there.
    #[cfg(test)]
    pub(crate) fn skip_listeners(&mut self, count: u64) {
        self.listener_ids += count;
    }

    pub(crate) fn insert_listener(&mut self, id: ListenerId, listener: Listener<D>) {
        self.driver.debug_log(format_args!("{} bound", listener.name));
        listener.publish();
        if let Some(distribution) = listener.distribution() {
            self.counters.add_listener(id, Arc::clone(&distribution.counters));
        }
        self.listeners.insert(id, listener);
    }

    pub(super) fn forget_listener(&mut self, id: ListenerId) -> Option<Listener<D>> {
        self.counters.remove_listener(id);
        self.listeners.remove(&id)
    }
}

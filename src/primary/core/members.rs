//! What follows when a worker may get connections, or may not: the only code that changes an
//! [`Availability`](super::availability::Availability).

use std::time::Instant;

use super::{
    availability::{Change, Transition},
    deadlines::Due,
    driver::{Driver, Lanes},
    listener::Membership,
    quota::Claimed,
    state::Core,
};
use crate::{
    protocol::{ListenerId, WorkerId, control::ToWorker},
    scheduler::Scheduling,
};

impl<D: Driver> Core<D> {
    /// Changes the availability of a worker, and does everything that follows from it: who accepts from
    /// its sockets, what waits in its queue, which policies may choose it, and what waits for that. Says
    /// whether anything has changed.
    fn change(&mut self, id: WorkerId, change: Change, now: Instant) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else {
            return false;
        };
        let Some(transition) = worker.availability.apply(change) else {
            return false;
        };
        self.report(id, change);
        if let Some(worker) = self.workers.get(&id) {
            worker.counters.set_stalled(worker.availability.is_stalled());
        }
        if matches!(change, Change::Paused | Change::Resumed | Change::Withheld | Change::Admitted)
        {
            self.set_accepting(id);
        }
        if matches!(change, Change::Withheld | Change::Admitted) {
            self.tell_withheld(id);
        }
        if transition.changes_service() {
            self.notify_acceptors(id);
        }
        match change {
            Change::Withdrawn if self.keeps_queue(id) => {}
            Change::Paused | Change::Withheld | Change::Exhausted | Change::Withdrawn => {
                self.reclaim(id, now);
            }
            Change::Stalled => self.rescue(id, now),
            _ => {}
        }
        self.make_available(id, transition, now);
        true
    }

    /// A worker that becomes available has its turn with every policy again, and gets what waits.
    fn make_available(&mut self, id: WorkerId, transition: Transition, now: Instant) {
        if !transition.makes_available() {
            return;
        }
        let served = self.listeners.iter_mut().filter(|(_, listener)| listener.has(id));
        let restored = served.map(|(&served, listener)| {
            if let Some(distribution) = listener.distribution_mut() {
                distribution.policy.restore(id);
            }
            served
        });
        for listener in restored.collect::<Vec<_>>() {
            self.dispatch(listener, now);
        }
    }

    fn report(&self, id: WorkerId, change: Change) {
        let what = match change {
            Change::Paused => "is paused",
            Change::Resumed => "is resumed",
            Change::Withdrawn => "gets no more connections",
            Change::Withheld => "gets no connections until it is ready",
            Change::Admitted => "is ready",
            Change::Exhausted => "has no descriptors left",
            Change::Recovered => "has descriptors again",
            Change::Stalled => "is stuck",
            Change::Probed
            | Change::Answered
            | Change::QueueFull
            | Change::QueueHasRoom
            | Change::QueueLost => return,
        };
        self.driver.debug_log(format_args!("worker {id} {what}"));
    }

    /// Tells the worker whether it may have datagrams, which come from shared sockets whatever the policy.
    fn tell_withheld(&self, id: WorkerId) {
        if let Some(worker) = self.workers.get(&id) {
            let is_withheld = worker.availability.is_withheld();
            let message = if is_withheld { ToWorker::Withhold } else { ToWorker::Admit };
            // One that does not read its messages is at fault with its next request.
            let _ = worker.lanes.send(&message, None);
        }
    }

    /// Tells the worker whether it may accept from sockets of its own.
    pub(super) fn set_accepting(&self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        let is_withheld = worker.availability.is_withheld();
        match self.scheduling {
            Scheduling::ReusePort => {
                let is_paused = worker.availability.is_paused();
                worker.lanes.set_accepting(!is_paused && !is_withheld);
            }
            // A pause has no effect on sockets that all workers share.
            Scheduling::Shared => worker.lanes.set_accepting(!is_withheld),
            _ => {}
        }
    }

    /// Has the tasks of the worker's sockets look again at who accepts.
    pub(super) fn notify_acceptors(&self, id: WorkerId) {
        for listener in self.listeners.values().filter(|listener| listener.has(id)) {
            if let Some(distribution) = listener.distribution() {
                distribution.notify_acceptors();
            }
        }
    }

    /// Takes the worker out of every rotation for good, and gives what waits in its queue to others.
    pub(crate) fn withdraw(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let timeout = worker.queue_timeout;
        worker.unassign_all();
        let served = self.listeners.iter_mut().filter(|(_, it)| it.has(id));
        let served: Vec<_> = served.map(|(&listener, it)| (listener, it.leave(id))).collect();
        for (listener, _) in &served {
            self.tell_takers(*listener, timeout, now);
        }
        if !self.change(id, Change::Withdrawn, now) && !self.keeps_queue(id) {
            // Something may have been left for want of descriptors.
            self.reclaim(id, now);
        }
        for (listener, _) in served.into_iter().filter(|(_, is_unserved)| *is_unserved) {
            self.left(listener, timeout, now);
        }
    }

    /// Whether the worker serves what waits in its queue, though it leaves.
    fn keeps_queue(&self, id: WorkerId) -> bool {
        self.workers.get(&id).is_some_and(|worker| worker.keeps_queue)
    }

    /// Withdraws all workers, and closes all listeners with what waits for their workers.
    pub(crate) fn withdraw_all(&mut self, now: Instant) {
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.withdraw(id, now);
        }
        self.close_unserved_all();
    }

    /// Leaves the worker its place in every rotation, but gives it no connections, and what waits in its
    /// queue to others.
    pub(crate) fn pause(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Paused, now);
    }

    /// The worker gets no connections until it is [admitted](Self::admit).
    pub(super) fn withhold(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Withheld, now);
    }

    /// The worker is ready.
    pub(super) fn admit(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Admitted, now);
    }

    /// The pause is over.
    pub(crate) fn resume(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Resumed, now);
    }

    /// The worker reports whether it has no descriptors. If it has reported something else only just, that
    /// takes effect later.
    pub(crate) fn report_descriptors(&mut self, id: WorkerId, is_exhausted: bool, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let believed = worker.availability.is_exhausted();
        match worker.claim.say(is_exhausted, believed, now) {
            Claimed::Already => {}
            Claimed::At(then) => self.deadlines.add(then, Due::Claim(id)),
            Claimed::Now => self.set_exhausted(id, is_exhausted, now),
        }
    }

    /// What the worker has reported last of its descriptors takes effect.
    pub(super) fn settle_claim(&mut self, id: WorkerId, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id) {
            let is_exhausted = worker.claim.settle(now);
            self.set_exhausted(id, is_exhausted, now);
        }
    }

    fn set_exhausted(&mut self, id: WorkerId, is_exhausted: bool, now: Instant) {
        let change = if is_exhausted { Change::Exhausted } else { Change::Recovered };
        self.change(id, change, now);
    }

    /// The worker has been asked whether its event loop turns.
    pub(super) fn set_probed(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Probed, now);
    }

    /// The worker, which has been asked, is believed to be stuck.
    pub(super) fn set_stalled(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::Stalled, now);
    }

    /// The worker has answered. Says whether it was stalled.
    pub(super) fn set_answered(&mut self, id: WorkerId, now: Instant) -> bool {
        let was_stalled = self.workers.get(&id).is_some_and(|it| it.availability.is_stalled());
        self.change(id, Change::Answered, now) && was_stalled
    }

    /// The worker's queue took no further connection: there is no room now, or never again.
    pub(super) fn set_full(&mut self, id: WorkerId, is_lost: bool, now: Instant) {
        let change = if is_lost { Change::QueueLost } else { Change::QueueFull };
        self.change(id, change, now);
    }

    /// The worker's queue has room again.
    pub(crate) fn queue_has_room(&mut self, id: WorkerId, now: Instant) {
        self.change(id, Change::QueueHasRoom, now);
    }

    /// A member of the listener has returned a connection: it gets no other one before `until`.
    pub(super) fn cool_down(&mut self, id: WorkerId, listener_id: ListenerId, until: Instant) {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return;
        };
        // It may have left meanwhile, and never come back.
        let Some(membership) = listener.members.get_mut(&id) else {
            return;
        };
        *membership = Membership::CoolingDown(until);
        if let Some(distribution) = listener.distribution() {
            distribution.notify_acceptors();
            self.deadlines.add(until, Due::Cooldown(listener_id, id));
        }
    }

    /// A cooldown is over, unless another one has begun.
    pub(super) fn end_cooldown(&mut self, id: WorkerId, listener_id: ListenerId, now: Instant) {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return;
        };
        match listener.members.get_mut(&id) {
            Some(membership) => match membership {
                Membership::CoolingDown(until) if *until <= now => *membership = Membership::Quiet,
                _ => return,
            },
            None => return,
        }
        if let Some(distribution) = listener.distribution_mut() {
            distribution.policy.restore(id);
            distribution.quiet.push(id);
        }
        self.dispatch(listener_id, now);
    }

    /// Nothing is pending at the listener: members that have accepted nothing since their cooldowns may
    /// accept again.
    pub(super) fn end_quiet(&mut self, listener_id: ListenerId) {
        let Some(listener) = self.listeners.get_mut(&listener_id) else {
            return;
        };
        let quiet = listener.distribution_mut().map(|it| std::mem::take(&mut it.quiet));
        for id in quiet.unwrap_or_default() {
            let Some(membership) = self.listeners.get_mut(&listener_id) else {
                return;
            };
            let membership = membership.members.get_mut(&id);
            if let Some(membership) = membership.filter(|it| **it == Membership::Quiet) {
                *membership = Membership::Active;
                self.set_accepting(id);
                self.notify_acceptors(id);
            }
        }
    }
}

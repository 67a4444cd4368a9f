//! What happens by time alone.

use std::time::Instant;

use super::{
    member::{Member, Phase},
    operation::Succession,
    report::{Cause, Reason},
    slot::Rest,
    supervisor::{Stopping, Supervisor},
};
use crate::protocol::WorkerId;

impl Supervisor {
    /// When to call [`expire`](Self::expire), unless something else happens before.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(|member| self.deadline_of(member));
        let slots = self.slots.values().filter_map(|slot| match slot.rest {
            Rest::Until(at) => Some(at),
            Rest::Nothing | Rest::Failed => None,
        });
        let stop = match self.stopping {
            Stopping::Announced { at, .. } => Some(at),
            // Of what is left then the driver says when it is over.
            Stopping::Draining { until, .. } => {
                (self.succession != Succession::Ending).then_some(until)
            }
            Stopping::No | Stopping::Flushing { .. } | Stopping::Stopped => None,
        };
        let slots = slots.filter(|_| !self.is_stopping());
        members.chain(slots).chain(stop).chain(self.prepared_at()).min()
    }

    fn deadline_of(&self, member: &Member) -> Option<Instant> {
        match member.phase {
            Phase::Starting { deadline } => {
                Some(self.quiet_until(member).map_or(deadline, |quiet| quiet.min(deadline)))
            }
            Phase::OnTrial { until } => Some(until),
            Phase::Ready { .. } => self.age_limit(member).filter(|_| !member.is_worn),
            Phase::Hung | Phase::Leaving => None,
        }
    }

    /// When the member has been ready for as long as it may.
    fn age_limit(&self, member: &Member) -> Option<Instant> {
        let age = self.options.max_age?.mul_f64(member.part);
        member.ready_since().and_then(|since| since.checked_add(age))
    }

    /// Does all that is due.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.stop_in_time(now);
        for slot in self.slots.values_mut() {
            if matches!(slot.rest, Rest::Until(at) if at <= now) {
                slot.rest = Rest::Nothing;
            }
        }
        let due = |(_, member): &(&WorkerId, &Member)| {
            self.deadline_of(member).is_some_and(|deadline| deadline <= now)
        };
        let mut due: Vec<_> = self.members.iter().filter(due).map(|(&id, _)| id).collect();
        due.sort_unstable();
        for worker in due {
            match self.members.get(&worker).map(|member| member.phase) {
                Some(Phase::Starting { deadline }) => {
                    self.look_at_readiness(worker, now);
                    let is_starting = self.members.get(&worker).is_some_and(Member::is_starting);
                    if is_starting && deadline <= now {
                        self.time_out(worker, now);
                    }
                }
                Some(Phase::OnTrial { .. }) => self.enter_service(worker, now),
                Some(Phase::Ready { .. }) => self.wear(worker, Reason::Age),
                Some(Phase::Hung | Phase::Leaving) | None => {}
            }
        }
    }

    /// What a worker uses: bytes of memory, if that is known, and how many requests it has served.
    pub(crate) fn uses(
        &mut self,
        worker: WorkerId,
        memory: Option<u64>,
        requests: u64,
        now: Instant,
    ) {
        let Some(member) = self.members.get(&worker) else {
            return;
        };
        let part = member.part;
        let exceeds = |used: u64, limit: Option<u64>| {
            limit.is_some_and(|limit| used as f64 > limit as f64 * part)
        };
        let has_too_much = memory.is_some_and(|memory| exceeds(memory, self.options.max_memory));
        match member.phase {
            Phase::Starting { .. } | Phase::OnTrial { .. } if has_too_much => {
                self.give_up(worker, Cause::Memory, now);
            }
            Phase::Ready { .. } if has_too_much => self.wear(worker, Reason::Memory),
            Phase::Ready { .. } if exceeds(requests, self.options.max_requests) => {
                self.wear(worker, Reason::Requests);
            }
            _ => {}
        }
    }

    /// The worker has reached a limit, and is to be replaced.
    fn wear(&mut self, worker: WorkerId, reason: Reason) {
        if let Some(member) = self.members.get_mut(&worker)
            && !std::mem::replace(&mut member.is_worn, true)
        {
            self.worn.push_back((worker, reason));
        }
    }

    /// The workers whose use of memory, or requests, is to be looked at.
    pub(crate) fn used(&self) -> Vec<WorkerId> {
        let members = self.members.iter().filter(|(_, it)| it.is_forked && it.counts());
        members.map(|(&worker, _)| worker).collect()
    }
}

//! What follows when a worker could not be started, ends, or is stuck.

use std::time::{Duration, Instant};

use super::{
    member::{Member, Phase},
    operation::{Operation, Reload, ReloadPhase},
    report::{Cause, Ended, FailedPhase, Outcome, Reason, Rejection, Report, SlotNumber},
    slot::{Rest, Slot},
    supervisor::{Effect, Stopping, Supervisor},
};
use crate::protocol::WorkerId;

/// By which part the time that a failed slot waits is longer or shorter.
const SPREAD: f64 = 0.2;

impl Supervisor {
    /// The worker's process runs.
    pub(crate) fn started(&mut self, worker: WorkerId) {
        let Some(member) = self.members.get_mut(&worker) else {
            // Of the program's own, which is late.
            if let Stopping::Draining { timeout, .. } = self.stopping {
                let reason = self.reason_to_leave();
                self.effects.push_back(Effect::DrainOthers { timeout, reason });
            }
            return;
        };
        member.is_forked = true;
        if matches!(member.phase, Phase::Leaving) {
            let (timeout, reason) = (Duration::ZERO, Reason::Ended);
            self.effects.push_back(Effect::Drain { worker, timeout, reason });
        }
    }

    /// The worker's process could not be started.
    pub(crate) fn could_not_start(
        &mut self,
        worker: WorkerId,
        syscall: &'static str,
        errno: i32,
        now: Instant,
    ) {
        self.ended(worker, Cause::Fork(syscall, errno), now);
    }

    /// The worker's process has ended.
    pub(crate) fn exited(&mut self, worker: WorkerId, how: Ended, now: Instant) {
        self.ended(worker, Cause::Exited(how), now);
    }

    fn ended(&mut self, worker: WorkerId, cause: Cause, now: Instant) {
        let Some(member) = self.members.remove(&worker) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(&member.slot) {
            slot.hung.take_if(|it| *it == worker);
        }
        self.fail(worker, &member, cause, now);
    }

    /// A worker is starting for too long.
    pub(super) fn time_out(&mut self, worker: WorkerId, now: Instant) {
        let missing = self.members.get(&worker).map(|it| self.missing(it)).unwrap_or_default();
        self.give_up(worker, Cause::TimedOut(missing), now);
    }

    /// A worker has broken the protocol, so it gets no more connections.
    pub(crate) fn faults(&mut self, worker: WorkerId, now: Instant) {
        self.give_up(worker, Cause::Fault, now);
    }

    /// A worker that is starting, or ready, failed, and is to end though its process runs.
    pub(super) fn give_up(&mut self, worker: WorkerId, cause: Cause, now: Instant) {
        let Some(member) = self.members.get(&worker).filter(|member| member.counts()) else {
            return;
        };
        let failed = member.clone();
        self.retire(worker, Reason::Crash);
        self.fail(worker, &failed, cause, now);
    }

    /// The worker's event loop has been stuck for too long: another one takes its place before it is killed.
    pub(crate) fn hangs(&mut self, worker: WorkerId, now: Instant) {
        let kills_first = self.options.max_surge == 0;
        if self.members.get(&worker).is_some_and(|it| matches!(it.phase, Phase::Leaving)) {
            // What it had to finish it never will.
            self.effects.push_back(Effect::Kill(worker));
        }
        let Some(member) = self.members.get_mut(&worker).filter(|member| member.counts()) else {
            return;
        };
        let failed = member.clone();
        member.phase = Phase::Hung;
        member.leaves = Some(Reason::Hung);
        let number = member.slot;
        let is_ready = failed.ready_since().is_some();
        let concerns_operation = self.concerns_operation(&failed) || self.stands_by();
        if let Some(slot) = self.slots.get_mut(&number) {
            if kills_first || !is_ready {
                self.effects.push_back(Effect::Kill(worker));
            } else {
                // It is going to be killed, even if it goes on meanwhile.
                self.effects.push_back(Effect::Withhold(worker));
                slot.hung = Some(worker);
            }
            if is_ready && !concerns_operation {
                slot.serving = None;
                slot.emptied = Reason::Hung;
                return;
            }
        }
        self.fail(worker, &failed, Cause::Hung, now);
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.emptied = Reason::Hung;
        }
    }

    /// The program ends the worker, which is replaced at once.
    pub(crate) fn leaves(&mut self, worker: WorkerId) {
        let Some(member) = self.members.get_mut(&worker).filter(|member| member.counts()) else {
            return;
        };
        member.phase = Phase::Leaving;
        member.leaves = Some(Reason::Ended);
        let Some(slot) = self.slots.get_mut(&member.slot) else {
            return;
        };
        slot.serving.take_if(|it| *it == worker);
        slot.coming.take_if(|it| *it == worker);
        slot.emptied = Reason::Ended;
    }

    /// Whether the failure of such a worker ends the operation that is under way.
    fn concerns_operation(&self, member: &Member) -> bool {
        match &self.operation {
            Some(Operation::Reload(Reload { generation, phase, .. })) => {
                let is_rolling_back = matches!(phase, ReloadPhase::RollingBack(_));
                is_rolling_back || *generation == member.generation
            }
            Some(Operation::Scale { slots, .. }) => slots.contains(&member.slot),
            Some(Operation::Restart { slot, .. } | Operation::Recycle { slot }) => {
                *slot == member.slot
            }
            Some(Operation::Upgrade(_)) | None => false,
        }
    }

    /// A worker that was starting or ready has failed: it has no slot any more.
    fn fail(&mut self, worker: WorkerId, failed: &Member, cause: Cause, now: Instant) {
        if !failed.counts() {
            return;
        }
        let number = failed.slot;
        let phase = match (&failed.phase, &cause) {
            (Phase::Starting { .. }, Cause::TimedOut(_)) => FailedPhase::Ready,
            (Phase::Starting { .. }, _) => FailedPhase::Start,
            _ => FailedPhase::Canary,
        };
        let rejection = Rejection { cause, phase, worker: Some(worker), slot: Some(number) };
        let was_coming = self.slots.get_mut(&number).is_some_and(|slot| {
            slot.serving.take_if(|it| *it == worker);
            slot.coming.take_if(|it| *it == worker).is_some()
        });
        if let Some(slot) =
            self.slots.get_mut(&number).filter(|slot| slot.is_empty() && !was_coming)
        {
            slot.emptied = Reason::Crash;
        }
        if was_coming && let Some(hung) = self.slots.get_mut(&number).and_then(|it| it.hung.take())
        {
            self.effects.push_back(Effect::Kill(hung));
        }
        if self.is_stopping() {
            return;
        }
        if self.stands_by() {
            return self.fail_standby(rejection);
        }
        if self.concerns_operation(failed) && self.fail_operation(failed, was_coming, &rejection) {
            return;
        }
        // The next worker of the slot is of another generation, which has not failed.
        let is_outdated =
            self.slots.get(&number).is_some_and(|slot| slot.wanted != failed.generation);
        if !is_outdated {
            self.back_off(number, failed.ready_since(), rejection, now);
        }
    }

    /// The operation that is under way meets the failure of a worker. Says whether that is all that follows.
    fn fail_operation(&mut self, failed: &Member, was_coming: bool, rejection: &Rejection) -> bool {
        let is_old = failed.generation == self.committed;
        let fails = match &self.operation {
            // The old generation does not start any more, so this is as far as it goes.
            Some(Operation::Reload(Reload { phase: ReloadPhase::RollingBack(_), .. })) => {
                was_coming && is_old
            }
            Some(Operation::Reload(_) | Operation::Scale { .. }) => true,
            Some(Operation::Recycle { .. }) => true,
            Some(Operation::Restart { .. }) => was_coming,
            Some(Operation::Upgrade(_)) | None => false,
        };
        let token = self.operation.as_ref().and_then(Operation::token);
        if !fails {
            // The worker that was to be restarted has ended, so the next one comes at once.
            return !is_old || matches!(self.operation, Some(Operation::Restart { .. }));
        }
        match self.operation.take() {
            Some(Operation::Reload(Reload { phase: ReloadPhase::RollingBack(first), .. })) => {
                self.failed_reloads += 1;
                self.reject(token, first);
                false
            }
            Some(Operation::Reload(reload)) => {
                self.roll_back(reload, rejection.clone());
                true
            }
            Some(Operation::Scale { before, .. }) => {
                // A new slot could not be filled, so there are as many as before.
                self.remove_slots(before);
                self.reject(token, rejection.clone());
                true
            }
            Some(Operation::Restart { slot, .. } | Operation::Recycle { slot }) => {
                let mut serving = None;
                if let Some(slot) = self.slots.get_mut(&slot) {
                    slot.renew = None;
                    serving = slot.serving;
                }
                // A limit that it has reached is looked at again.
                if let Some(member) = serving.and_then(|worker| self.members.get_mut(&worker)) {
                    member.is_worn = false;
                }
                self.reject(token, rejection.clone());
                false
            }
            Some(Operation::Upgrade(_)) | None => false,
        }
    }

    pub(super) fn reject(&mut self, token: Option<u32>, rejection: Rejection) {
        if let Some(token) = token {
            self.answer(token, Outcome::Rejected(rejection));
        }
    }

    /// The slot waits before it gets another worker, or gets none if it has failed too often.
    fn back_off(
        &mut self,
        number: SlotNumber,
        ready_since: Option<Instant>,
        rejection: Rejection,
        now: Instant,
    ) {
        let spread = self.random.around_one(SPREAD);
        let Self { options, slots, .. } = self;
        let Some(slot) = slots.get_mut(&number) else {
            return;
        };
        slot.failures.add(ready_since, now);
        if slot.failures.exceed(options.max_restarts, now) && slot.serving.is_none() {
            slot.rest = Rest::Failed;
            let has_failed = |slot: &Slot| slot.is_empty() && slot.rest == Rest::Failed;
            if slots.values().all(has_failed) {
                self.outcomes.push_back(Effect::Report(Report::Failed(rejection)));
            }
            return;
        }
        let delay = slot.failures.delay(options.restart_delay, options.max_restart_delay);
        let delay = delay.mul_f64(spread);
        slot.rest = Rest::Until(now + delay);
        let failures = slot.failures.count;
        let report = Report::BackOff { slot: number, delay, failures, failure: rejection };
        self.effects.push_back(Effect::Report(report));
    }
}

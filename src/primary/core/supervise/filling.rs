//! How slots get workers: those that lack one, and those whose worker is to be replaced, as long as no more workers
//! start and serve than may.

use std::time::{Duration, Instant};

use super::{
    member::{Member, Phase},
    operation::{Operation, Reload, ReloadPhase},
    options::ReadyWhen,
    report::{Reason, Report, SlotNumber},
    slot::{Rest, Slot},
    supervisor::{Effect, Standby, Supervisor},
};
use crate::protocol::WorkerId;

impl Supervisor {
    /// How many workers are starting or ready.
    pub(super) fn counted(&self) -> usize {
        self.members.values().filter(|member| member.counts()).count()
    }

    fn limit(&self) -> usize {
        self.slots.len() + self.options.max_surge as usize
    }

    /// Starts and replaces workers as far as they are wanted, and may be. Says whether it did.
    pub(super) fn fill(&mut self, now: Instant) -> bool {
        if self.is_stopping() || self.standby == Standby::Failed {
            return false;
        }
        let is_startable = |(number, slot): &(&SlotNumber, &Slot)| {
            slot.is_empty() && self.may_start(**number, slot)
        };
        let empty = self.slots.iter().find(is_startable).map(|(&number, _)| number);
        if let Some(number) = empty.filter(|_| self.counted() < self.limit()) {
            self.start(number, now);
            return true;
        }
        let Some(number) = self.next_outdated() else {
            return false;
        };
        if self.options.max_surge > 0 {
            let may_start = self.counted() < self.limit();
            if may_start {
                self.start(number, now);
            }
            return may_start;
        }
        // One at a time, so that the others serve.
        let is_settled = |(number, slot): (&SlotNumber, &Slot)| {
            let serves = slot.serving.is_some() && slot.coming.is_none();
            serves || (slot.is_empty() && !self.may_start(*number, slot))
        };
        let are_settled = self.slots.iter().all(is_settled);
        if are_settled {
            self.empty(number);
        }
        are_settled
    }

    /// The first slot whose worker is to be replaced.
    fn next_outdated(&self) -> Option<SlotNumber> {
        let is_outdated = |slot: &Slot| {
            let Some(serving) = slot.serving.filter(|_| slot.coming.is_none()) else {
                return false;
            };
            let generation = self.members.get(&serving).map(|member| member.generation);
            let is_due = slot.rest == Rest::Nothing;
            is_due && (slot.renew.is_some() || generation != Some(slot.wanted))
        };
        self.slots.iter().find(|(_, slot)| is_outdated(slot)).map(|(&number, _)| number)
    }

    /// Whether an empty slot may get a worker now.
    fn may_start(&self, number: SlotNumber, slot: &Slot) -> bool {
        let is_due = slot.rest == Rest::Nothing;
        let is_wanted = match &self.operation {
            _ if !self.is_held => true,
            Some(Operation::Reload(Reload { phase: ReloadPhase::RollingBack(_), .. })) => {
                !slot.was_empty
            }
            Some(Operation::Reload(_)) => slot.wanted != self.committed,
            Some(Operation::Scale { slots, .. }) => slots.contains(&number),
            Some(Operation::Restart { slot, .. } | Operation::Recycle { slot }) => *slot == number,
            Some(Operation::Upgrade(_)) | None => false,
        };
        is_due && is_wanted
    }

    /// Why the next worker of a slot is started.
    fn reason(&self, slot: &Slot) -> Reason {
        let is_rollback = matches!(
            self.operation,
            Some(Operation::Reload(Reload { phase: ReloadPhase::RollingBack(_), .. }))
        );
        match (slot.renew, slot.serving) {
            (Some(reason), _) => reason,
            (None, Some(_)) if slot.wanted == self.committed || is_rollback => Reason::Rollback,
            (None, Some(_)) => Reason::Reload,
            (None, None) => slot.emptied,
        }
    }

    fn start(&mut self, number: SlotNumber, now: Instant) {
        let worker = (self.next_id)();
        let part = self.random.below_one(self.options.jitter);
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        let generation = slot.wanted;
        let Some(&recipe) = self.recipes.get(&generation) else {
            return slot.want(self.committed);
        };
        slot.coming = Some(worker);
        if slot.last.is_some() || slot.failures.count > 0 {
            slot.restarts = slot.restarts.saturating_add(1);
        }
        let is_withheld = self.options.ready_when == ReadyWhen::Ready
            || generation != self.committed
            || self.stands_by();
        let member = Member {
            slot: number,
            generation,
            phase: Phase::Starting { deadline: now + self.options.ready_timeout },
            is_forked: false,
            is_admitted: !is_withheld,
            addresses: Vec::new(),
            listened: None,
            part,
            is_worn: false,
            leaves: None,
        };
        self.members.insert(worker, member);
        self.effects.push_back(Effect::Start { worker, slot: number, recipe, is_withheld });
    }

    /// The worker of a slot leaves before there is another.
    fn empty(&mut self, number: SlotNumber) {
        let Some(reason) = self.slots.get(&number).map(|slot| self.reason(slot)) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        slot.emptied = reason;
        if let Some(worker) = slot.serving.take() {
            self.retire(worker, reason);
        }
    }

    /// The worker leaves: with time to finish what it has, if it has been given anything.
    pub(super) fn retire(&mut self, worker: WorkerId, reason: Reason) {
        let timeout = self.options.drain_timeout;
        self.retire_within(worker, timeout, reason);
    }

    /// As [`retire`](Self::retire), with this time.
    pub(super) fn retire_within(&mut self, worker: WorkerId, timeout: Duration, reason: Reason) {
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        let has_served = member.may_have_connections();
        member.phase = Phase::Leaving;
        member.leaves = Some(reason);
        // One whose process is about to be started leaves as soon as it has.
        if member.is_forked {
            let timeout = if has_served { timeout } else { Duration::ZERO };
            self.effects.push_back(Effect::Drain { worker, timeout, reason });
            if has_served {
                self.effects.push_back(Effect::Report(Report::Draining { worker, reason }));
            }
        }
    }

    /// The worker is ready: it serves in its slot, and what was there before leaves.
    pub(super) fn enter_service(&mut self, worker: WorkerId, now: Instant) {
        let waits = self.stands_by();
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        member.phase = Phase::Ready { since: now };
        let (number, generation) = (member.slot, member.generation);
        if !waits && !std::mem::replace(&mut member.is_admitted, true) {
            self.effects.push_back(Effect::Admit(worker));
        }
        let Some(reason) = self.slots.get(&number).map(|slot| self.reason(slot)) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        slot.coming = None;
        slot.renew = None;
        slot.rest = Rest::Nothing;
        let before = slot.serving.replace(worker);
        let hung = slot.hung.take();
        let from = before.or(hung).or(slot.last);
        slot.last = Some(worker);
        let replaced = Report::Replaced { slot: number, from, to: worker, reason };
        self.effects.push_back(Effect::Report(replaced));
        if let Some(hung) = hung {
            self.effects.push_back(Effect::Kill(hung));
        }
        if let Some(before) = before {
            self.retire(before, reason);
        }
        self.require_addresses(generation);
        if let Some(Operation::Reload(reload)) = &mut self.operation
            && matches!(reload.phase, ReloadPhase::Canary(slot) if slot == number)
            && reload.generation == generation
        {
            reload.phase = ReloadPhase::Rolling;
            for slot in self.slots.values_mut() {
                slot.want(generation);
            }
        }
    }
}

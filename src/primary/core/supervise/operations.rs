//! What the program asks for: one thing at a time, each of which ends.

use std::time::{Duration, Instant};

use super::{
    member::{Member, Phase},
    operation::{Operation, RecipeId, Reload, ReloadPhase, Request},
    report::{
        Cause, FailedPhase, Generation, Outcome, Reason, Rejection, Report, SlotNumber, Token,
    },
    slot::{Rest, Slot},
    supervisor::{Effect, Standby, Stopping, Supervisor},
};
use crate::protocol::WorkerId;

/// How long a process may take to end after `SIGKILL`. One in an uninterruptible sleep may never end.
const ENDING: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Replaces all workers by those of another recipe.
    pub(crate) fn reload(&mut self, token: Token, recipe: RecipeId) {
        self.request(Request::Reload { token, recipe });
    }

    /// Has so many slots.
    pub(crate) fn scale(&mut self, token: Token, workers: u32) {
        self.request(Request::Scale { token, workers });
    }

    /// Replaces one worker.
    pub(crate) fn restart(&mut self, token: Token, slot_or_id: u32) {
        self.request(Request::Restart { token, slot_or_id });
    }

    fn request(&mut self, request: Request) {
        if self.is_stopping() {
            self.refuse(&request);
        } else {
            self.requests.push_back(request);
        }
    }

    /// Starts nothing in the place of workers that end, until [`release`](Self::release).
    pub(crate) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Ends [`hold`](Self::hold).
    pub(crate) fn release(&mut self) {
        self.is_held = false;
    }

    /// After `delay`, ends all workers, which then have `timeout`. If that has begun already, the shorter times
    /// apply.
    pub(crate) fn stop(&mut self, token: Token, delay: Duration, timeout: Duration, now: Instant) {
        if matches!(self.stopping, Stopping::Stopped) {
            return self.answer(token, Outcome::Done);
        }
        self.stop_tokens.push(token);
        let at = now + delay;
        if self.defer_stop(at, timeout) {
            return;
        }
        match &mut self.stopping {
            Stopping::No => self.announce_stop(at, timeout),
            Stopping::Announced { at: before, timeout: time } => {
                *before = at.min(*before);
                *time = timeout.min(*time);
            }
            Stopping::Flushing { timeout: time } => *time = timeout.min(*time),
            Stopping::Draining { .. } => self.drain_all(timeout, now),
            Stopping::Stopped => {}
        }
        self.stop_in_time(now);
    }

    /// All workers are to end at this time, which nothing else is done before.
    pub(super) fn announce_stop(&mut self, at: Instant, timeout: Duration) {
        self.stopping = Stopping::Announced { at, timeout };
        let operation = self.operation.take();
        if matches!(operation, Some(Operation::Upgrade(_))) {
            self.effects.push_back(Effect::AbandonSuccessor);
        }
        if let Some(token) = operation.and_then(|operation| operation.token()) {
            self.answer(token, Outcome::Rejected(refused(Cause::Stopping)));
        }
        while let Some(request) = self.requests.pop_front() {
            self.refuse(&request);
        }
    }

    /// Ends all workers, if that has been announced for now or earlier.
    pub(super) fn stop_in_time(&mut self, now: Instant) {
        if let Stopping::Announced { at, timeout } = self.stopping
            && at <= now
        {
            self.stopping = Stopping::Flushing { timeout };
            self.effects.push_back(Effect::Flush);
        }
    }

    /// What waited in the engine has gone to workers.
    pub(crate) fn flushed(&mut self, now: Instant) {
        if let Stopping::Flushing { timeout } = self.stopping {
            self.drain_all(timeout, now);
        }
    }

    pub(super) fn refuse(&mut self, request: &Request) {
        if let Request::Reload { recipe, .. } = request {
            self.effects.push_back(Effect::Forget(*recipe));
        }
        let cause = self.reason_to_refuse();
        self.answer(request.token(), Outcome::Rejected(refused(cause)));
    }

    /// There are so many workers that have no slot.
    pub(crate) fn set_others(&mut self, count: usize) {
        self.others = count;
    }

    pub(super) fn drain_all(&mut self, timeout: Duration, now: Instant) {
        let until = now + timeout + self.options.kill_timeout + ENDING;
        self.stopping = match self.stopping {
            Stopping::Draining { timeout: before, until: earlier } => {
                Stopping::Draining { timeout: timeout.min(before), until: until.min(earlier) }
            }
            _ => Stopping::Draining { timeout, until },
        };
        let reason = self.reason_to_leave();
        let mut workers: Vec<_> = self.members.keys().copied().collect();
        workers.sort_unstable();
        for worker in workers {
            match self.members.get(&worker).map(|member| member.phase) {
                Some(Phase::Hung) => self.effects.push_back(Effect::Kill(worker)),
                // It has been told to leave; the shorter time applies.
                Some(Phase::Leaving) => {
                    self.effects.push_back(Effect::Drain { worker, timeout, reason });
                }
                Some(_) => self.retire_within(worker, timeout, reason),
                None => {}
            }
        }
        for slot in self.slots.values_mut() {
            (slot.serving, slot.coming, slot.hung) = (None, None, None);
        }
        self.effects.push_back(Effect::DrainOthers { timeout, reason });
    }

    /// While everything ends: when it has, at the latest.
    pub(super) fn stops_by(&self) -> Option<Instant> {
        match self.stopping {
            Stopping::Announced { at, timeout } => {
                Some(at + timeout + self.options.kill_timeout + ENDING)
            }
            Stopping::Draining { until, .. } => Some(until),
            Stopping::No | Stopping::Flushing { .. } | Stopping::Stopped => None,
        }
    }

    /// Ends an operation that has come to its end. Says whether there was one.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        if let Stopping::Draining { until, .. } = self.stopping
            && (now >= until || (self.members.is_empty() && self.others == 0))
            && self.is_succession_over()
        {
            self.stopping = Stopping::Stopped;
            let recipes = self.recipes.drain().map(|(_, recipe)| Effect::Forget(recipe));
            self.effects.extend(recipes);
            self.outcomes.push_back(Effect::Report(Report::Stopped));
            for token in std::mem::take(&mut self.stop_tokens) {
                self.answer(token, Outcome::Done);
            }
            return true;
        }
        let serves = |number: &SlotNumber| {
            self.slots
                .get(number)
                .is_some_and(|slot| slot.serving.is_some() && slot.coming.is_none())
        };
        let is_over = match &self.operation {
            None => false,
            Some(Operation::Reload(reload)) => match reload.phase {
                ReloadPhase::Canary(_) => false,
                ReloadPhase::Rolling => self.all_serve(reload.generation),
                ReloadPhase::RollingBack(_) => self.is_rolled_back(),
            },
            Some(Operation::Scale { slots, .. }) => slots.iter().all(serves),
            Some(Operation::Upgrade(_)) => false,
            Some(Operation::Restart { slot, .. } | Operation::Recycle { slot }) => {
                serves(slot) && self.slots.get(slot).is_some_and(|slot| slot.renew.is_none())
            }
        };
        if is_over && let Some(operation) = self.operation.take() {
            self.end(operation, now);
        }
        is_over
    }

    /// Whether all slots have workers of the generation.
    fn all_serve(&self, generation: Generation) -> bool {
        self.slots.values().all(|slot| self.serves(slot, generation) && slot.coming.is_none())
    }

    fn serves(&self, slot: &Slot, generation: Generation) -> bool {
        let serving = slot.serving.and_then(|worker| self.members.get(&worker));
        serving.is_some_and(|member| member.generation == generation)
    }

    /// Whether no slot has a worker of another generation, and those that had one before have one again, if
    /// they do not wait after a failure.
    fn is_rolled_back(&self) -> bool {
        self.slots.values().all(|slot| {
            let is_left_empty = slot.is_empty() && (self.is_held && slot.was_empty);
            let waits = slot.is_empty() && slot.rest != Rest::Nothing;
            is_left_empty || waits || (self.serves(slot, self.committed) && slot.coming.is_none())
        })
    }

    fn end(&mut self, operation: Operation, now: Instant) {
        match operation {
            Operation::Reload(Reload { token, phase: ReloadPhase::RollingBack(first), .. }) => {
                self.failed_reloads += 1;
                self.reject(Some(token), first);
            }
            Operation::Reload(Reload { token, generation, began, .. }) => {
                self.commit(generation);
                self.reloads += 1;
                let time = now.duration_since(began);
                self.outcomes.push_back(Effect::Report(Report::Reloaded { generation, time }));
                self.answer(token, Outcome::Reloaded(generation, time));
            }
            Operation::Scale { token, .. } => {
                let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.answer(token, Outcome::Scaled(count));
            }
            Operation::Restart { token, .. } => self.answer(token, Outcome::Done),
            Operation::Recycle { .. } | Operation::Upgrade(_) => {}
        }
    }

    /// From now on workers are started by the recipe of this generation.
    fn commit(&mut self, generation: Generation) {
        let before = std::mem::replace(&mut self.committed, generation);
        if let Some(recipe) = self.recipes.remove(&before) {
            self.effects.push_back(Effect::Forget(recipe));
        }
        self.require_addresses_of(generation);
    }

    /// Begins the next operation. Says whether there was one to begin.
    pub(super) fn begin_next(&mut self, now: Instant) -> bool {
        if self.operation.is_some() || self.is_stopping() || self.standby != Standby::Over {
            return false;
        }
        let reloads = matches!(self.requests.front(), Some(Request::Reload { .. }));
        if reloads && self.serves_before_ready() {
            return false;
        }
        match self.requests.pop_front() {
            Some(Request::Reload { token, recipe }) => self.begin_reload(token, recipe, now),
            Some(Request::Scale { token, workers }) => self.begin_scale(token, workers),
            Some(Request::Restart { token, slot_or_id }) => self.begin_restart(token, slot_or_id),
            None => return self.begin_recycling(),
        }
        true
    }

    fn begin_reload(&mut self, token: Token, recipe: RecipeId, now: Instant) {
        self.latest = self.latest.saturating_add(1);
        let generation = self.latest;
        self.recipes.insert(generation, recipe);
        self.cut_old_generations(generation);
        for slot in self.slots.values_mut() {
            slot.was_empty = slot.is_empty();
        }
        let may_have_connections =
            |worker: &WorkerId| self.members.get(worker).is_some_and(Member::may_have_connections);
        // Where nothing has to be taken away.
        let is_free = |slot: &Slot| {
            slot.serving.is_none() && !slot.coming.as_ref().is_some_and(may_have_connections)
        };
        let free = self.slots.iter().find(|(_, slot)| is_free(slot)).map(|(&number, _)| number);
        let canary = free.or_else(|| self.slots.keys().next().copied()).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(&canary) {
            slot.want(generation);
            slot.renew = None;
            if slot.is_empty() {
                slot.emptied = Reason::Reload;
            }
            // It is started by the old recipe, and serves nothing yet. One that does is replaced when it is ready.
            if let Some(coming) = slot.coming.take_if(|it| !may_have_connections(it)) {
                self.retire(coming, Reason::Reload);
            }
        }
        let phase = ReloadPhase::Canary(canary);
        self.operation = Some(Operation::Reload(Reload { token, generation, began: now, phase }));
    }

    /// The oldest generation that may have workers beside this new one. Those that have failed have none.
    fn oldest_of(&self, generation: Generation) -> Generation {
        let members = self.members.values().map(|it| it.generation);
        let mut generations: Vec<_> = members.chain([generation]).collect();
        generations.sort_unstable();
        generations.dedup();
        let count = self.options.max_generations as usize;
        generations.iter().rev().take(count).next_back().copied().unwrap_or(generation)
    }

    /// Workers of generations that are too old have no more time.
    fn cut_old_generations(&mut self, generation: Generation) {
        let oldest = self.oldest_of(generation);
        let is_cut = |phase, of| matches!(phase, Phase::Leaving) && of < oldest;
        let cut =
            self.members.iter().filter(|(_, it)| it.is_forked && is_cut(it.phase, it.generation));
        let mut cut: Vec<_> = cut.map(|(&worker, _)| worker).collect();
        cut.sort_unstable();
        for worker in cut {
            let (timeout, reason) = (Duration::ZERO, Reason::Reload);
            self.effects.push_back(Effect::Drain { worker, timeout, reason });
        }
    }

    /// The new generation has failed: the old one gets its slots back.
    pub(super) fn roll_back(&mut self, reload: Reload, rejection: Rejection) {
        let Reload { generation, .. } = reload;
        if let Some(recipe) = self.recipes.remove(&generation) {
            self.effects.push_back(Effect::Forget(recipe));
        }
        let mut leaving = Vec::new();
        for slot in self.slots.values_mut() {
            slot.want(self.committed);
            if slot.is_empty() {
                slot.emptied = Reason::Rollback;
            }
            let is_new = |worker: &mut WorkerId| {
                self.members.get(worker).is_some_and(|member| member.generation == generation)
            };
            leaving.extend(slot.coming.take_if(is_new));
        }
        for worker in leaving {
            self.retire(worker, Reason::Rollback);
        }
        let phase = ReloadPhase::RollingBack(rejection);
        self.operation = Some(Operation::Reload(Reload { phase, ..reload }));
    }

    fn begin_scale(&mut self, token: Token, workers: u32) {
        let before = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let slots: Vec<_> = (before..workers).collect();
        for &number in &slots {
            self.slots.insert(number, Slot::new(self.committed, Reason::Scale));
        }
        self.remove_slots(workers);
        self.operation = Some(Operation::Scale { token, slots, before });
    }

    /// Removes the slots from this one on.
    pub(super) fn remove_slots(&mut self, first: SlotNumber) {
        for (_, slot) in self.slots.split_off(&first).into_iter().rev() {
            let hung = slot.hung.map(Effect::Kill);
            self.effects.extend(hung);
            for worker in [slot.coming, slot.serving].into_iter().flatten() {
                self.retire(worker, Reason::Scale);
            }
        }
    }

    /// Slots come first; any other number is the id of a worker.
    fn begin_restart(&mut self, token: Token, slot_or_id: u32) {
        let by_id = || {
            let is_it = |slot: &Slot| [slot.serving, slot.coming].contains(&Some(slot_or_id));
            self.slots.iter().find(|(_, slot)| is_it(slot)).map(|(&number, _)| number)
        };
        let slot = Some(slot_or_id).filter(|it| self.slots.contains_key(it)).or_else(by_id);
        let Some(number) = slot else {
            let (cause, phase) = (Cause::NoSuchWorker, FailedPhase::Start);
            let rejection = Rejection { cause, phase, worker: None, slot: None };
            return self.answer(token, Outcome::Rejected(rejection));
        };
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.forgive();
            // One that is starting is new enough.
            slot.renew = slot.coming.is_none().then_some(Reason::Restart);
        }
        self.operation = Some(Operation::Restart { token, slot: number });
    }

    fn begin_recycling(&mut self) -> bool {
        if self.is_held || !self.was_ready {
            return false;
        }
        self.worn
            .retain(|(worker, _)| self.slots.values().any(|slot| slot.serving == Some(*worker)));
        let is_due = |slot: &Slot, worker| {
            slot.serving == Some(worker) && slot.coming.is_none() && slot.rest == Rest::Nothing
        };
        let next = self.worn.iter().enumerate().find_map(|(index, &(worker, reason))| {
            let slot = self.slots.iter().find(|(_, slot)| is_due(slot, worker));
            slot.map(|(&number, _)| (index, number, reason))
        });
        let Some((index, slot, reason)) = next else {
            return false;
        };
        self.worn.remove(index);
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.renew = Some(reason);
        }
        self.operation = Some(Operation::Recycle { slot });
        true
    }
}

/// Nothing else is done while the supervisor stops.
fn refused(cause: Cause) -> Rejection {
    Rejection { cause, phase: FailedPhase::Drain, worker: None, slot: None }
}

//! The registries of supervision, and what follows from each input: workers are started and replaced as far
//! as the slots want, and operations go on.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    member::{Address, Member, Phase},
    operation::{Operation, RecipeId, Reload, ReloadPhase, Request},
    options::{ReadyWhen, SuperviseOptions},
    random::Random,
    report::{Generation, Outcome, Reason, Report, SlotNumber, State, Token},
    slot::{Rest, Slot},
};
use crate::protocol::WorkerId;

/// What the rules want to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start a worker. One that is withheld gets no connections until it is admitted.
    Start {
        worker: WorkerId,
        recipe: RecipeId,
        is_withheld: bool,
    },
    /// Let the worker have connections.
    Admit(WorkerId),
    /// Drain the worker, with so much time at most.
    Drain {
        worker: WorkerId,
        timeout: Duration,
        reason: Reason,
    },
    /// Give what waits in the engine to workers, and say when that is done.
    Flush,
    /// Drain all workers that have no slot.
    DrainOthers {
        timeout: Duration,
    },
    /// The worker gets no more connections, though it does not leave yet.
    Withhold(WorkerId),
    /// End the process at once.
    Kill(WorkerId),
    /// No worker will be started by this recipe any more.
    Forget(RecipeId),
    Report(Report),
}

/// How far the end of everything has come.
#[derive(Debug)]
pub(super) enum Stopping {
    No,
    /// It is announced, and begins at this time; workers then have so much time.
    Announced {
        at: Instant,
        timeout: Duration,
    },
    /// What waits in the engine goes to workers first, which then have so much time.
    Flushing {
        timeout: Duration,
    },
    /// Workers drain, with so much time. Those that the system does not end are not waited for any longer than
    /// until then.
    Draining {
        timeout: Duration,
        until: Instant,
    },
    Stopped,
}

/// Keeps the slots of a program filled with workers.
pub(crate) struct Supervisor {
    pub(super) options: SuperviseOptions,
    /// The id of the next worker.
    pub(super) next_id: Box<dyn FnMut() -> WorkerId>,
    pub(super) random: Random,
    pub(super) slots: BTreeMap<SlotNumber, Slot>,
    pub(super) members: HashMap<WorkerId, Member>,
    /// The generation that slots get workers of, unless an operation says otherwise.
    pub(super) committed: Generation,
    /// The last generation that has been tried.
    pub(super) latest: Generation,
    pub(super) recipes: HashMap<Generation, RecipeId>,
    /// What a worker has to listen on to be ready. Empty if workers have no address in common, `None` as long as
    /// none has been ready.
    pub(super) required: Option<Vec<Address>>,
    pub(super) operation: Option<Operation>,
    pub(super) requests: VecDeque<Request>,
    /// Workers that have reached a limit.
    pub(super) worn: VecDeque<(WorkerId, Reason)>,
    pub(super) is_held: bool,
    /// Whether the first workers have been ready.
    pub(super) was_ready: bool,
    pub(super) stopping: Stopping,
    /// Who waits for the end.
    pub(super) stop_tokens: Vec<Token>,
    /// How many workers there are that have no slot.
    pub(super) others: usize,
    /// What was reported last.
    pub(super) state: State,
    pub(super) effects: VecDeque<Effect>,
    /// What is reported after everything else, so that a program that hears of the end of an operation finds
    /// the state after it.
    pub(super) outcomes: VecDeque<Effect>,
}

impl Supervisor {
    /// Takes the ids of workers from `next_id`.
    pub(crate) fn new(
        options: SuperviseOptions,
        recipe: RecipeId,
        next_id: Box<dyn FnMut() -> WorkerId>,
    ) -> Self {
        let slots = (0..options.workers).map(|number| (number, Slot::new(1, Reason::Start)));
        Self {
            random: Random::new(options.seed),
            slots: slots.collect(),
            options,
            next_id,
            members: HashMap::new(),
            committed: 1,
            latest: 1,
            recipes: HashMap::from([(1, recipe)]),
            required: None,
            operation: None,
            requests: VecDeque::new(),
            worn: VecDeque::new(),
            is_held: false,
            was_ready: false,
            stopping: Stopping::No,
            stop_tokens: Vec::new(),
            others: 0,
            state: State::Starting,
            effects: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Whether the worker has, or had, a slot.
    pub(crate) fn has(&self, worker: WorkerId) -> bool {
        self.members.contains_key(&worker)
    }

    /// The slot and the generation of a worker.
    pub(crate) fn place_of(&self, worker: WorkerId) -> Option<(SlotNumber, Generation)> {
        self.members.get(&worker).map(|member| (member.slot, member.generation))
    }

    /// How long a process has after `SIGTERM`.
    pub(crate) fn kill_timeout(&self) -> Duration {
        self.options.kill_timeout
    }

    /// Whether idle connections of workers that leave go to others.
    pub(crate) fn hands_over(&self) -> bool {
        self.options.hands_over
    }

    /// Whether the memory of workers has to be looked at, and how many requests they have served.
    pub(crate) fn limits_use(&self) -> (bool, bool) {
        let SuperviseOptions { max_memory, max_requests, .. } = &self.options;
        match self.stopping {
            Stopping::Stopped => (false, false),
            _ => (max_memory.is_some(), max_requests.is_some()),
        }
    }

    /// The workers whose event loops have to turn: those that are ready, or leave.
    pub(super) fn looked_at(&self) -> impl Iterator<Item = WorkerId> {
        self.members.keys().copied().filter(|id| self.is_looked_at(*id))
    }

    pub(super) fn is_looked_at(&self, worker: WorkerId) -> bool {
        self.members.get(&worker).is_some_and(Member::has_to_turn)
    }

    /// Takes the next thing to do.
    pub(crate) fn take_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Does all that follows from what has changed.
    pub(crate) fn settle(&mut self, now: Instant) {
        while self.advance(now) || self.begin_next(now) || self.fill(now) {}
        self.report_state();
        self.effects.append(&mut self.outcomes);
    }

    /// How many workers are starting or ready.
    pub(super) fn counted(&self) -> usize {
        self.members.values().filter(|member| member.counts()).count()
    }

    pub(super) fn is_stopping(&self) -> bool {
        !matches!(self.stopping, Stopping::No)
    }

    fn limit(&self) -> usize {
        self.slots.len() + self.options.max_surge as usize
    }

    /// Starts and replaces workers as far as they are wanted, and may be. Says whether it did.
    fn fill(&mut self, now: Instant) -> bool {
        if self.is_stopping() {
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
            None => false,
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
        let is_withheld =
            self.options.ready_when == ReadyWhen::Ready || generation != self.committed;
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
        };
        self.members.insert(worker, member);
        self.effects.push_back(Effect::Start { worker, recipe, is_withheld });
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
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        member.phase = Phase::Ready { since: now };
        let (number, generation) = (member.slot, member.generation);
        if !std::mem::replace(&mut member.is_admitted, true) {
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

    /// What the supervisor does as a whole.
    pub(super) fn state(&self) -> State {
        let has_failed = |slot: &Slot| slot.is_empty() && slot.rest == Rest::Failed;
        match (&self.stopping, &self.operation) {
            (Stopping::Stopped, _) => State::Stopped,
            (
                Stopping::Announced { .. } | Stopping::Flushing { .. } | Stopping::Draining { .. },
                _,
            ) => State::Stopping,
            (Stopping::No, Some(Operation::Reload(_))) => State::Reloading,
            (Stopping::No, _) if self.slots.values().all(has_failed) => State::Failed,
            (Stopping::No, _) if self.was_ready => State::Ready,
            (Stopping::No, _) => State::Starting,
        }
    }

    fn report_state(&mut self) {
        let is_settled = |slot: &Slot| slot.serving.is_some() || slot.rest == Rest::Failed;
        let serves = |slot: &Slot| slot.serving.is_some();
        let is_ready = self.slots.values().all(is_settled) && self.slots.values().any(serves);
        if !self.was_ready && is_ready {
            self.was_ready = true;
            self.outcomes.push_front(Effect::Report(Report::Ready));
        }
        let state = self.state();
        if state != self.state {
            self.state = state;
            self.effects.push_back(Effect::Report(Report::State(state)));
        }
    }

    pub(super) fn answer(&mut self, token: Token, outcome: Outcome) {
        self.outcomes.push_back(Effect::Report(Report::Answer(token, outcome)));
    }
}

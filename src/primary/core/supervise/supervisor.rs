//! The registries of supervision, and what follows from each input: operations go on, and slots get the workers
//! that they want.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    member::{Address, Member},
    operation::{Deferred, Operation, RecipeId, Request, Succession},
    options::SuperviseOptions,
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
        slot: SlotNumber,
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
        reason: Reason,
    },
    /// The worker gets no more connections, though it does not leave yet.
    Withhold(WorkerId),
    /// End the process at once.
    Kill(WorkerId),
    /// No worker will be started by this recipe any more.
    Forget(RecipeId),
    /// The workers of a primary that stands by are well.
    Prepared,
    /// Start the primary that is to take over.
    StartSuccessor,
    /// Accept nothing more, and tell the successor to.
    CommitSuccessor,
    /// End the successor, and accept again.
    AbandonSuccessor,
    /// The successor gets whatever waits here, or comes, from now on.
    HandOver,
    /// Tell the successor when it has got everything, and say when that is done.
    EndHandOver,
    /// The successor is to stop as well.
    StopSuccessor,
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

/// Whether the primary stands by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standby {
    /// It does not, or no longer.
    Over,
    /// Its workers start, and get no connections.
    Preparing,
    /// They are well, which the predecessor knows.
    Prepared,
    /// One of them has failed, so all have been killed.
    Failed,
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
    pub(super) standby: Standby,
    /// The addresses that workers of the predecessor serve.
    pub(super) expected: Vec<Address>,
    /// Whether another primary has taken over.
    pub(super) succession: Succession,
    /// A stop that waits until it is known whether one does.
    pub(super) deferred: Option<Deferred>,
    /// Who waits for the end.
    pub(super) stop_tokens: Vec<Token>,
    /// How many workers there are that have no slot.
    pub(super) others: usize,
    /// How many reloads have ended well, and how many have failed.
    pub(super) reloads: u64,
    pub(super) failed_reloads: u64,
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
            standby: Standby::Over,
            expected: Vec::new(),
            succession: Succession::None,
            deferred: None,
            stop_tokens: Vec::new(),
            others: 0,
            reloads: 0,
            failed_reloads: 0,
            state: State::Starting,
            effects: VecDeque::new(),
            outcomes: VecDeque::new(),
        }
    }

    /// Whether the worker has a slot, or leaves one.
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
        while self.prepare(now) || self.advance(now) || self.begin_next(now) || self.fill(now) {}
        self.report_state();
        self.effects.append(&mut self.outcomes);
    }

    pub(super) fn is_stopping(&self) -> bool {
        !matches!(self.stopping, Stopping::No)
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
            (Stopping::No, _) if self.standby == Standby::Failed => State::Failed,
            (Stopping::No, Some(Operation::Upgrade(_))) => State::Upgrading,
            (Stopping::No, _) if self.slots.values().all(has_failed) => State::Failed,
            (Stopping::No, _) if self.was_ready => State::Ready,
            (Stopping::No, _) => State::Starting,
        }
    }

    fn report_state(&mut self) {
        let is_settled = |slot: &Slot| slot.serving.is_some() || slot.rest == Rest::Failed;
        let serves = |slot: &Slot| slot.serving.is_some();
        let is_ready = self.slots.values().all(is_settled) && self.slots.values().any(serves);
        if !self.was_ready && is_ready && self.standby == Standby::Over {
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

//! What supervision shows at any time, to any thread.

use std::time::{Duration, Instant};

use super::{
    member::{Member, Phase},
    report::{Generation, Reason, SlotNumber, State},
    slot::{Rest, Slot},
    supervisor::Supervisor,
};
use crate::protocol::WorkerId;

/// What a slot is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// It has no worker, because the supervisor is held or stops.
    Empty,
    /// Its worker is not ready yet.
    Starting,
    /// Its worker serves.
    Ready,
    /// It has failed, and is tried again at this time.
    Waiting(Instant),
    /// It has failed too often.
    Failed,
}

/// A slot.
#[derive(Debug, Clone)]
pub struct SlotStatus {
    /// Its number.
    pub slot: SlotNumber,
    /// What it is at.
    pub state: SlotState,
    /// The worker that is ready, or else the one that is starting.
    pub worker: Option<WorkerId>,
    /// That of the worker.
    pub generation: Option<Generation>,
    /// Since when the worker has been ready.
    pub ready_since: Option<Instant>,
    /// How often it has failed since a worker was well.
    pub failures: u32,
    /// How many workers were started for it after the first.
    pub restarts: u32,
}

/// A worker that leaves.
#[derive(Debug, Clone)]
pub struct LeavingStatus {
    /// Its id.
    pub worker: WorkerId,
    /// The slot that it had.
    pub slot: SlotNumber,
    /// Its generation.
    pub generation: Generation,
    /// Why it leaves.
    pub reason: Option<Reason>,
}

/// Where event loops of workers have been blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The innermost line of the program, `file:line`; `unknown` where no stack was told.
    pub at: String,
    /// How often that was reported.
    pub count: u64,
    /// The longest time.
    pub longest: Duration,
}

/// Supervision as a whole.
#[derive(Debug, Clone)]
pub struct Status {
    /// What the supervisor does.
    pub state: State,
    /// That of the workers that are started.
    pub generation: Generation,
    /// Whether nothing is started in the place of workers that end.
    pub is_held: bool,
    /// In the order of their numbers.
    pub slots: Vec<SlotStatus>,
    /// In the order of their ids.
    pub leaving: Vec<LeavingStatus>,
    /// While it stops: when all is over, at the latest.
    pub stops_by: Option<Instant>,
    /// Where event loops have been blocked, in the order of the first report.
    pub blocked: Vec<Place>,
    /// How many reloads have ended well.
    pub reloads: u64,
    /// How many have failed. One that is given up because everything stops has not.
    pub failed_reloads: u64,
}

impl Supervisor {
    pub(crate) fn status(&self) -> Status {
        let is_leaving = |phase| matches!(phase, Phase::Leaving | Phase::Hung);
        let leaving = self.members.iter().filter(|(_, it)| it.is_forked && is_leaving(it.phase));
        let mut leaving: Vec<_> = leaving
            .map(|(&worker, it)| {
                let Member { slot, generation, leaves: reason, .. } = *it;
                LeavingStatus { worker, slot, generation, reason }
            })
            .collect();
        leaving.sort_unstable_by_key(|it| it.worker);
        Status {
            state: self.state(),
            generation: self.committed,
            is_held: self.is_held,
            slots: self
                .slots
                .iter()
                .map(|(&number, slot)| self.slot_status(number, slot))
                .collect(),
            leaving,
            stops_by: self.stops_by(),
            blocked: Vec::new(),
            reloads: self.reloads,
            failed_reloads: self.failed_reloads,
        }
    }

    fn slot_status(&self, number: SlotNumber, slot: &Slot) -> SlotStatus {
        let worker = slot.serving.or(slot.coming);
        let member = worker.and_then(|worker| self.members.get(&worker));
        SlotStatus {
            slot: number,
            state: match (slot.serving, slot.coming, slot.rest) {
                (Some(_), ..) => SlotState::Ready,
                (None, Some(_), _) => SlotState::Starting,
                (None, None, Rest::Until(at)) => SlotState::Waiting(at),
                (None, None, Rest::Failed) => SlotState::Failed,
                (None, None, Rest::Nothing) => SlotState::Empty,
            },
            worker,
            generation: member.map(|it| it.generation),
            ready_since: member.and_then(|it| it.ready_since()),
            failures: slot.failures.count,
            restarts: slot.restarts,
        }
    }
}

//! A primary that stands by: its workers start and become ready, but serve nothing yet, because the primary before it
//! (the predecessor) does. When they are well, the predecessor leaves its place by a commit, or is gone by then.

use std::time::{Duration, Instant};

use super::{
    member::{Address, Member, Phase},
    operation::RecipeId,
    options::{ReadyWhen, SuperviseOptions},
    report::{Generation, Rejection, Report},
    supervisor::{Effect, Standby, Supervisor},
};
use crate::protocol::WorkerId;

/// For how long after they are ready the workers may add addresses on which the predecessor's listen. What is missing then
/// counts as given up.
const LATE: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Starts workers of this generation, and admits none before [`take_place`](Self::take_place). `expected` is where
    /// the predecessor's workers listen: it sends what waits there only if workers of this primary listen there too when
    /// they are said to be well.
    pub(crate) fn standing_by(
        options: SuperviseOptions,
        recipe: RecipeId,
        next_id: Box<dyn FnMut() -> WorkerId>,
        generation: Generation,
        expected: Vec<Address>,
    ) -> Self {
        let mut supervisor = Self::new(options, recipe, next_id);
        supervisor.committed = generation;
        supervisor.latest = generation;
        supervisor.recipes = [(generation, recipe)].into();
        for slot in supervisor.slots.values_mut() {
            slot.wanted = generation;
        }
        supervisor.standby = Standby::Preparing;
        supervisor.expected = expected;
        supervisor
    }

    /// Whether its workers get no connections yet.
    pub(crate) fn stands_by(&self) -> bool {
        matches!(self.standby, Standby::Preparing | Standby::Prepared)
    }

    /// Whether this primary neither has failed before it has served, nor stops.
    pub(crate) fn may_take_place(&self) -> bool {
        self.stands_by() && !self.is_stopping()
    }

    /// Whether not all workers have been ready yet, and may still become so.
    pub(crate) fn waits_for_workers(&self) -> bool {
        !self.was_ready && !self.is_stopping() && self.standby != Standby::Failed
    }

    /// Whether the predecessor has been told that the workers are well.
    pub(crate) fn is_prepared(&self) -> bool {
        self.standby == Standby::Prepared
    }

    /// Says that the workers are well, if they are, and it has not been said.
    pub(super) fn prepare(&mut self, now: Instant) -> bool {
        let is_due = self.prepared_at().is_some_and(|at| at <= now);
        if is_due {
            self.standby = Standby::Prepared;
            self.effects.push_back(Effect::Prepared);
        }
        is_due
    }

    /// When the workers are well, if nothing happens meanwhile: all are ready, the first has been for a while, and one
    /// of them at least listens wherever the predecessor's do, or it is too late for that.
    pub(super) fn prepared_at(&self) -> Option<Instant> {
        let serves =
            self.slots.values().all(|slot| slot.serving.is_some() && slot.coming.is_none());
        if self.standby != Standby::Preparing || !serves {
            return None;
        }
        let ready = || self.members.values().filter_map(Member::ready_since);
        let well = ready().min()? + self.options.min_uptime;
        if self.expected.iter().all(|it| self.is_listened_on(it)) {
            return Some(well);
        }
        Some(well.max(ready().max()? + LATE))
    }

    /// Whether a worker listens on the address, even if it has asked for that in another way.
    fn is_listened_on(&self, address: &Address) -> bool {
        let workers = self.members.values().filter(|it| it.counts());
        workers.flat_map(|it| &it.addresses).any(|it| address.is_same(it))
    }

    /// The predecessor serves no longer: workers get connections from now on.
    pub(crate) fn take_place(&mut self) {
        if !self.stands_by() {
            return;
        }
        self.standby = Standby::Over;
        let listening = self.options.ready_when == ReadyWhen::Listening;
        let may_serve = |member: &Member| match member.phase {
            Phase::Ready { .. } => true,
            Phase::Starting { .. } => listening,
            Phase::OnTrial { .. } | Phase::Hung | Phase::Leaving => false,
        };
        let members = self.members.iter_mut().filter(|(_, member)| may_serve(member));
        let mut admitted: Vec<_> = members
            .map(|(&worker, member)| {
                member.is_admitted = true;
                worker
            })
            .collect();
        admitted.sort_unstable();
        self.effects.extend(admitted.into_iter().map(Effect::Admit));
    }

    /// A worker has failed, and so has all: nothing else is started.
    pub(super) fn fail_standby(&mut self, rejection: Rejection) {
        self.end_standby();
        self.outcomes.push_back(Effect::Report(Report::StandbyFailed(rejection)));
    }

    /// The primary gives up: all workers are killed, unless they serve.
    pub(crate) fn end_standby(&mut self) {
        if !self.stands_by() {
            return;
        }
        self.standby = Standby::Failed;
        let mut forked = Vec::new();
        for (&worker, member) in &mut self.members {
            member.phase = Phase::Leaving;
            if member.is_forked {
                forked.push(worker);
            }
        }
        forked.sort_unstable();
        self.effects.extend(forked.into_iter().map(Effect::Kill));
        for slot in self.slots.values_mut() {
            (slot.serving, slot.coming, slot.hung) = (None, None, None);
        }
    }
}

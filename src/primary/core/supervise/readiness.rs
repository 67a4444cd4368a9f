//! When a worker is ready.

use std::time::{Duration, Instant};

use super::{
    member::{Address, Member, Phase},
    operation::{Operation, Reload, ReloadPhase},
    options::ReadyWhen,
    report::{Generation, State},
    supervisor::Supervisor,
};
use crate::protocol::{WorkerId, control::Query};

/// After how long without a further address a worker of the first generation listens on all.
const QUIET: Duration = Duration::from_millis(100);

impl Supervisor {
    /// The worker listens on an address.
    pub(crate) fn listens(&mut self, worker: WorkerId, query: &Query, name: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(&worker) {
            let (target, index) = (query.target.clone(), query.index);
            let address = Address { target, index, name: name.to_owned() };
            if !address.is_in(&member.addresses) {
                member.addresses.push(address);
                member.listened = Some(now);
            }
            self.look_at_readiness(worker, now);
        }
    }

    /// The worker listens on an address no longer.
    pub(crate) fn ends_listening(&mut self, worker: WorkerId, query: &Query) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.addresses.retain(|it| !it.is_for(query));
            // The next one need not listen there either.
            if matches!(member.phase, Phase::Ready { .. }) && member.generation == self.committed {
                self.required.retain(|it| !it.is_for(query));
            }
        }
    }

    /// The worker's program says that it is ready.
    pub(crate) fn says_ready(&mut self, worker: WorkerId, now: Instant) {
        if self.options.ready_when == ReadyWhen::Ready {
            self.set_ready(worker, now);
        }
    }

    /// Looks whether a worker that is starting is ready, where that follows from what it listens on.
    pub(super) fn look_at_readiness(&mut self, worker: WorkerId, now: Instant) {
        let Some(member) = self.members.get(&worker) else {
            return;
        };
        if self.options.ready_when == ReadyWhen::Listening && self.listens_on_all(member, now) {
            self.set_ready(worker, now);
        }
    }

    fn listens_on_all(&self, member: &Member, now: Instant) -> bool {
        match member.listened {
            None => false,
            Some(since) if self.waits_for_quiet() => now.duration_since(since) >= QUIET,
            Some(_) => self.required.iter().all(|it| it.is_in(&member.addresses)),
        }
    }

    /// Whether it is not known yet on which addresses workers listen.
    fn waits_for_quiet(&self) -> bool {
        self.state == State::Starting || self.required.is_empty()
    }

    /// When to look at the member again, if its readiness depends on time.
    pub(super) fn quiet_until(&self, member: &Member) -> Option<Instant> {
        let depends = self.options.ready_when == ReadyWhen::Listening && self.waits_for_quiet();
        member.listened.filter(|_| depends).map(|since| since + QUIET)
    }

    /// The addresses that the worker has to listen on, and does not.
    pub(super) fn missing(&self, member: &Member) -> Vec<String> {
        if self.options.ready_when == ReadyWhen::Ready || self.waits_for_quiet() {
            return Vec::new();
        }
        let missing = self.required.iter().filter(|it| !it.is_in(&member.addresses));
        missing.map(|it| it.name.clone()).collect()
    }

    fn set_ready(&mut self, worker: WorkerId, now: Instant) {
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        if !matches!(member.phase, Phase::Starting { .. }) {
            return;
        }
        let is_canary = |reload: &Reload| {
            reload.generation == member.generation && matches!(reload.phase, ReloadPhase::Canary(_))
        };
        let min_uptime = self.options.min_uptime;
        match &self.operation {
            Some(Operation::Reload(reload)) if is_canary(reload) && !min_uptime.is_zero() => {
                member.phase = Phase::OnTrial { until: now + min_uptime };
            }
            _ => self.enter_service(worker, now),
        }
    }

    /// The worker is ready: others of its generation have to listen where it does. Where workers of the first
    /// generation differ, that is where all of them listen.
    pub(super) fn require_addresses(&mut self, worker: WorkerId, generation: Generation) {
        let Some(member) = self.members.get(&worker).filter(|_| generation == self.committed)
        else {
            return;
        };
        if self.required.is_empty() {
            self.required.clone_from(&member.addresses);
        } else if self.state == State::Starting {
            self.required.retain(|it| it.is_in(&member.addresses));
        }
    }

    /// The generation is the one that all slots have: what its workers listen on is required from now on.
    pub(super) fn require_addresses_of(&mut self, generation: Generation) {
        let is_ready = |member: &&Member| {
            member.generation == generation && matches!(member.phase, Phase::Ready { .. })
        };
        let mut members = self.members.values().filter(is_ready);
        let mut required = members.next().map(|it| it.addresses.clone()).unwrap_or_default();
        for member in members {
            required.retain(|it| it.is_in(&member.addresses));
        }
        self.required = required;
    }
}

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

/// For how long after it is ready a program may still be starting, and add addresses.
const START: Duration = Duration::from_secs(30);

impl Supervisor {
    /// The worker listens on an address.
    pub(crate) fn listens(&mut self, worker: WorkerId, query: &Query, name: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(&worker) {
            let address = Address::new(query, name);
            if !address.is_in(&member.addresses) {
                member.addresses.push(address.clone());
                member.listened = Some(now);
                self.require_late(worker, address, now);
            }
            self.look_at_readiness(worker, now);
        }
    }

    /// The worker listens on an address no longer.
    pub(crate) fn ends_listening(&mut self, worker: WorkerId, query: &Query, now: Instant) {
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        member.addresses.retain(|it| !it.is_for(query));
        let (phase, is_committed) = (member.phase, member.generation == self.committed);
        match phase {
            // The next one need not listen there either.
            Phase::Ready { .. } if is_committed => {
                if let Some(required) = &mut self.required {
                    required.retain(|it| !it.is_for(query));
                }
                let starting = self.members.iter().filter(|(_, it)| it.is_starting());
                let mut starting: Vec<_> = starting.map(|(&id, _)| id).collect();
                starting.sort_unstable();
                for worker in starting {
                    self.look_at_readiness(worker, now);
                }
            }
            Phase::OnTrial { .. } => self.repeat_start(worker, now),
            _ => {}
        }
    }

    /// The first worker of a generation has closed a server: it may have to begin anew.
    fn repeat_start(&mut self, worker: WorkerId, now: Instant) {
        let is_listening = self.members.get(&worker).is_some_and(|it| self.listens_on_all(it, now));
        let depends = self.options.ready_when == ReadyWhen::Listening;
        if let Some(member) = self.members.get_mut(&worker).filter(|_| depends && !is_listening) {
            member.phase = Phase::Starting { deadline: now + self.options.ready_timeout };
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
        match member.listening_since() {
            None => false,
            Some(since) if self.waits_for_quiet() => now.duration_since(since) >= QUIET,
            Some(_) => self.required().iter().all(|it| it.is_in(&member.addresses)),
        }
    }

    fn required(&self) -> &[Address] {
        self.required.as_deref().unwrap_or_default()
    }

    /// Whether it is not known yet on which addresses workers listen.
    fn waits_for_quiet(&self) -> bool {
        self.state == State::Starting || self.required().is_empty()
    }

    /// Whether a worker that is starting listens, and so has connections, although it is not known yet on how many
    /// addresses it is going to. It is about to be ready, and a reload that took it away could leave its address
    /// without a worker.
    pub(super) fn serves_before_ready(&self) -> bool {
        let serves = |it: &Member| it.is_starting() && it.may_have_connections();
        self.waits_for_quiet() && self.members.values().any(serves)
    }

    /// When to look at the member again, if its readiness depends on time.
    pub(super) fn quiet_until(&self, member: &Member) -> Option<Instant> {
        let depends = self.options.ready_when == ReadyWhen::Listening && self.waits_for_quiet();
        member.listening_since().filter(|_| depends).map(|since| since + QUIET)
    }

    /// The addresses that the worker has to listen on, and does not.
    pub(super) fn missing(&self, member: &Member) -> Vec<String> {
        if self.options.ready_when == ReadyWhen::Ready || self.waits_for_quiet() {
            return Vec::new();
        }
        let missing = self.required().iter().filter(|it| !it.is_in(&member.addresses));
        missing.map(|it| it.name.clone()).collect()
    }

    fn set_ready(&mut self, worker: WorkerId, now: Instant) {
        let has_trial = self.has_trial(worker);
        let Some(member) = self.members.get_mut(&worker) else {
            return;
        };
        if !matches!(member.phase, Phase::Starting { .. }) {
            return;
        }
        if has_trial {
            member.phase = Phase::OnTrial { until: now + self.options.min_uptime };
        } else {
            self.enter_service(worker, now);
        }
    }

    /// Whether nothing is taken away for the worker before it has been ready for a while: it is the first of its
    /// generation, or replaces one that has only reached a limit.
    fn has_trial(&self, worker: WorkerId) -> bool {
        let Some(member) = self.members.get(&worker) else {
            return false;
        };
        let is_trial = match &self.operation {
            Some(Operation::Reload(Reload { generation, phase, .. })) => {
                *generation == member.generation && matches!(phase, ReloadPhase::Canary(_))
            }
            Some(Operation::Recycle { slot }) => {
                let serves = self.slots.get(slot).is_some_and(|slot| slot.serving.is_some());
                *slot == member.slot && serves
            }
            _ => false,
        };
        is_trial && !self.options.min_uptime.is_zero()
    }

    /// A worker of this generation is ready: others have to listen where it does. Where the first workers differ,
    /// as those do that have a port each, that is where all of them listen.
    pub(super) fn require_addresses(&mut self, generation: Generation) {
        let is_known = self.required.is_some() && self.state != State::Starting;
        if generation == self.committed && !is_known {
            self.require_addresses_of(generation);
        }
    }

    /// The generation is the one that all slots have: what its workers listen on is required from now on.
    pub(super) fn require_addresses_of(&mut self, generation: Generation) {
        let mut members = self.ready_of(generation);
        let mut required = members.next().map(|it| it.addresses.clone()).unwrap_or_default();
        for member in members {
            required.retain(|it| it.is_in(&member.addresses));
        }
        self.required = Some(required);
    }

    fn ready_of(&self, generation: Generation) -> impl Iterator<Item = &Member> {
        let is_ready = move |member: &&Member| {
            member.generation == generation && member.ready_since().is_some()
        };
        self.members.values().filter(is_ready)
    }

    /// A worker that is ready listens on a further address: so the next ones have to, if that belongs to the
    /// start of the program, rather than to what it does later, and all workers do.
    fn require_late(&mut self, worker: WorkerId, address: Address, now: Instant) {
        let since = self.members.get(&worker).and_then(Member::ready_since);
        let is_late = since.is_none_or(|since| now.duration_since(since) > START);
        let workers = self.ready_of(self.committed);
        let listening = workers.filter(|it| address.is_in(&it.addresses)).count();
        let do_all = listening == self.slots.len();
        if let Some(required) = self.required.as_mut().filter(|_| do_all && !is_late)
            && !address.is_in(required)
        {
            required.push(address);
        }
    }
}

//! Carries out what the rules of supervision decide, and tells them what happens to their workers.

use std::time::{Duration, Instant};

use super::{
    super::{
        deadlines::Due,
        drain::DrainOptions,
        driver::{Driver, EndSignal, Lanes, SuccessorOrder},
        listener::Listener,
        state::Core,
    },
    report::{Ended, Generation, Reason, Report, SlotNumber},
    status::Status,
    supervisor::{Effect, Supervisor},
};
use crate::protocol::{ListenerId, WorkerId};

/// How often the memory and the requests of workers are looked at, if they are limited.
const USE: Duration = Duration::from_secs(1);

impl Reason {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reload => "reload",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Crash => "crash",
            Self::Hung => "hung",
            Self::Memory => "memory",
            Self::Age => "age",
            Self::Requests => "requests",
            Self::Ended => "ended",
            Self::Stop => "stop",
            Self::Upgrade => "upgrade",
        }
    }
}

impl<D: Driver> Core<D> {
    /// Begins to supervise.
    pub(crate) fn begin_supervision(&mut self, supervisor: Supervisor, now: Instant) {
        self.stands_by = supervisor.stands_by();
        self.supervisor = Some(supervisor);
        self.supervise(now, |_| {});
        self.look_at_use(now);
    }

    /// The primary is gone: workers that end are not replaced any more.
    pub(crate) fn end_supervision(&mut self) {
        self.supervisor = None;
        self.withheld.clear();
    }

    /// Tells the supervisor something, if there is one, and does what follows.
    pub(crate) fn supervise(&mut self, now: Instant, tell: impl FnOnce(&mut Supervisor)) {
        let Some(mut supervisor) = self.supervisor.take() else {
            return;
        };
        tell(&mut supervisor);
        let others = self.workers.keys().filter(|id| !supervisor.has(**id)).count();
        supervisor.set_others(others);
        supervisor.settle(now);
        // Before the reports: who hears of something sees it.
        let blocked = self.looks.places.clone();
        self.driver.publish(Status { blocked, ..supervisor.status() });
        while let Some(effect) = supervisor.take_effect() {
            self.carry_out(&supervisor, effect, now);
        }
        if let Some(next) = supervisor.next_deadline()
            && let Some(next) = self.supervised.ask(next)
        {
            self.deadlines.add(next, Due::Supervision);
        }
        self.supervisor = Some(supervisor);
        self.begin_to_look(now);
    }

    fn carry_out(&mut self, supervisor: &Supervisor, effect: Effect, now: Instant) {
        match effect {
            Effect::Start { worker, slot, recipe, is_withheld } => {
                if is_withheld {
                    self.withheld.insert(worker);
                }
                self.driver.start_worker(worker, slot, recipe);
            }
            Effect::Admit(worker) => {
                self.withheld.remove(&worker);
                self.admit(worker, now);
            }
            Effect::Withhold(worker) => self.withhold(worker, now),
            Effect::Drain { worker, timeout, reason } => {
                let kill_timeout = supervisor.kill_timeout();
                // When all leave, none is left to take anything.
                let keeps_queue = reason == Reason::Stop;
                let hands_over = supervisor.hands_over() && !keeps_queue;
                let reason = Some(reason.as_str().to_owned());
                let options =
                    DrainOptions { timeout, kill_timeout, reason, hands_over, keeps_queue };
                self.drain(worker, options, now);
            }
            Effect::Flush => self.begin_flush(now),
            Effect::DrainOthers { timeout, reason } => {
                self.drain_others(supervisor, timeout, reason, now);
            }
            Effect::Kill(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.is_killed = true;
                    worker.lanes.signal(EndSignal::Kill, true);
                }
            }
            Effect::Forget(recipe) => self.driver.forget_recipe(recipe),
            Effect::Prepared => self.driver.prepared(),
            Effect::StartSuccessor => self.driver.successor(SuccessorOrder::Start),
            Effect::CommitSuccessor => {
                self.stop_accepting();
                self.driver.successor(SuccessorOrder::Commit);
            }
            Effect::AbandonSuccessor => {
                self.driver.successor(SuccessorOrder::Abandon);
                // All workers are about to leave.
                let _ = self.accept_again(now);
            }
            Effect::HandOver => self.begin_hand_over(now),
            Effect::EndHandOver => self.end_hand_over(now),
            Effect::StopSuccessor => self.driver.successor(SuccessorOrder::Stop),
            Effect::Report(report) => self.driver.report(report),
        }
    }

    /// The slot and the generation of a supervised worker.
    pub(crate) fn place_of(&self, id: WorkerId) -> Option<(SlotNumber, Generation)> {
        self.supervisor.as_ref()?.place_of(id)
    }

    /// The last generation that has been tried.
    pub(crate) fn latest_generation(&self) -> Generation {
        self.supervisor.as_ref().map_or(0, Supervisor::latest_generation)
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> u32 {
        let slots = self.supervisor.as_ref().map_or(0, |it| it.slots.len());
        u32::try_from(slots).unwrap_or(u32::MAX)
    }

    fn drain_others(
        &mut self,
        supervisor: &Supervisor,
        timeout: Duration,
        reason: Reason,
        now: Instant,
    ) {
        let others = self.workers.iter().filter(|(id, _)| !supervisor.has(**id));
        let others: Vec<_> = others.map(|(&id, worker)| (id, worker.drain.is_some())).collect();
        for (worker, drains_already) in others {
            self.carry_out(supervisor, Effect::Drain { worker, timeout, reason }, now);
            if !drains_already {
                self.driver.report(Report::Draining { worker, reason });
            }
        }
    }

    /// It is time for something that the supervisor waits for.
    pub(in super::super) fn look_at_supervision(&mut self, now: Instant) {
        if self.supervised.take(now) {
            self.supervise(now, |supervisor| supervisor.expire(now));
        }
    }

    /// Looks at what limited workers use.
    pub(in super::super) fn look_at_use(&mut self, now: Instant) {
        let Some(supervisor) = &self.supervisor else {
            return;
        };
        let (memory, requests) = supervisor.limits_use();
        if !(memory || requests) {
            return;
        }
        self.deadlines.add(now + USE, Due::Use);
        let workers = supervisor.used().into_iter();
        let used = workers.filter_map(|id| {
            let lanes = &self.workers.get(&id)?.lanes;
            let requests = if requests { lanes.requests() } else { 0 };
            Some((id, memory.then(|| lanes.memory()).flatten(), requests))
        });
        let used: Vec<_> = used.collect();
        self.supervise(now, |supervisor| {
            for (worker, memory, requests) in used {
                supervisor.uses(worker, memory, requests, now);
            }
        });
    }

    /// A listener that supervision hears of.
    fn supervised_listener(&self, listener: ListenerId) -> Option<&Listener<D>> {
        self.listeners.get(&listener).filter(|_| self.supervisor.is_some())
    }

    /// The worker serves a listener.
    pub(in super::super) fn tell_listening(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        now: Instant,
    ) {
        let Some(listener) = self.supervised_listener(listener) else {
            return;
        };
        let (query, name) = (listener.query.clone(), listener.name.clone());
        self.supervise(now, |supervisor| supervisor.listens(id, &query, &name, now));
    }

    /// The worker has closed its server on a listener.
    pub(in super::super) fn tell_closed(
        &mut self,
        id: WorkerId,
        listener: ListenerId,
        now: Instant,
    ) {
        let Some(listener) = self.supervised_listener(listener) else {
            return;
        };
        let query = listener.query.clone();
        self.supervise(now, |supervisor| supervisor.ends_listening(id, &query, now));
    }

    /// The worker's process could not be started.
    pub(crate) fn tell_not_started(
        &mut self,
        id: WorkerId,
        syscall: &'static str,
        errno: i32,
        now: Instant,
    ) {
        self.withheld.remove(&id);
        self.supervise(now, |supervisor| supervisor.could_not_start(id, syscall, errno, now));
    }

    /// The worker's process has ended.
    pub(crate) fn tell_exited(&mut self, id: WorkerId, how: Ended, now: Instant) {
        self.withheld.remove(&id);
        self.supervise(now, |supervisor| supervisor.exited(id, how, now));
    }
}

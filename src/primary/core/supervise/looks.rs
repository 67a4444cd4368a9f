//! Looks at the event loops of workers, at regular times: reports those that are blocked, and those that hang.

use std::{
    mem::replace,
    time::{Duration, Instant},
};

use super::{
    super::{
        deadlines::Due,
        driver::{Driver, Lanes},
        state::Core,
        suspicion::Load,
    },
    beat::{Finding, Vitals},
    report::Report,
    watched::{Looks, STACK_PATIENCE, Stack, Timeouts, Watched},
};
use crate::protocol::WorkerId;

/// How long a worker that has answered needs to go back to sleep.
const SOON: Duration = Duration::from_millis(5);

/// From which time on an event loop that is blocked is shown as that.
const LONG: Duration = Duration::from_secs(1);

/// How often a worker is reported as blocked, at most.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

struct Of<'a, L>(&'a L);

impl<L: Lanes> Vitals for Of<'_, L> {
    fn beat(&self) -> Option<u64> {
        self.0.beat()
    }

    fn processor_time(&self) -> Option<Duration> {
        self.0.processor_time()
    }

    fn load(&self) -> Option<Load> {
        self.0.load()
    }
}

impl<D: Driver> Core<D> {
    /// Looks at workers from now on, if there are some to look at.
    pub(super) fn begin_to_look(&mut self, now: Instant) {
        if let Some(timeouts) = self.hang_timeouts() {
            self.look_next(now + timeouts.interval());
        }
    }

    /// When workers are reported, if there are some to look at.
    fn hang_timeouts(&self) -> Option<Timeouts> {
        let supervisor = self.supervisor.as_ref()?;
        let timeouts = Timeouts::of(&supervisor.options);
        (!timeouts.are_off() && supervisor.looked_at().next().is_some()).then_some(timeouts)
    }

    fn look_next(&mut self, at: Instant) {
        if let Some(at) = self.looks.next.ask(at) {
            self.deadlines.add(at, Due::Look);
        }
    }

    /// Looks at all workers that are ready, or leave.
    pub(in super::super) fn look(&mut self, now: Instant) {
        if !self.looks.next.take(now) {
            return;
        }
        let Some((supervisor, timeouts)) = self.supervisor.as_ref().zip(self.hang_timeouts())
        else {
            return self.looks.watched.clear();
        };
        let Looks { watched, .. } = &mut self.looks;
        watched.retain(|id, _| supervisor.is_looked_at(*id));
        let ids: Vec<_> = supervisor.looked_at().collect();
        let mut all_sleep = true;
        for id in ids {
            self.looks.watched.entry(id).or_insert_with(|| Watched::new(now));
            all_sleep &= self.look_at_one(id, timeouts, now);
        }
        if self.looks.is_sample_due(now) {
            self.driver.sample(self.counters.total(), now);
        }
        let interval = if all_sleep { timeouts.interval_asleep() } else { timeouts.interval() };
        self.look_next(now + interval);
    }

    /// Looks at a worker that has answered.
    pub(in super::super) fn look_again(&mut self, id: WorkerId, now: Instant) {
        if let Some(timeouts) = self.hang_timeouts() {
            self.look_at_one(id, timeouts, now);
        }
    }

    /// Looks at one worker. Returns whether it sleeps.
    fn look_at_one(&mut self, id: WorkerId, timeouts: Timeouts, now: Instant) -> bool {
        let Self { looks, workers, .. } = self;
        let Some(watched) = looks.watched.get_mut(&id) else { return true };
        let Some(worker) = workers.get(&id) else {
            looks.watched.remove(&id);
            return true;
        };
        let lanes = Of(&worker.lanes);
        match watched.pulse.look(&lanes, timeouts.interval(), timeouts.doubt(), now) {
            Finding::Well => {
                worker.counters.set_blocked(false);
                watched.forget_stacks();
                watched.was_debugged = false;
            }
            Finding::Unknown => {
                watched.forget_stacks();
                self.probe(id, now);
            }
            Finding::Blocked(time) => {
                worker.counters.set_blocked(time >= LONG);
                self.judge(id, time, timeouts, now);
            }
        }
        self.looks.watched.get(&id).is_none_or(|watched| watched.pulse.is_asleep())
    }

    /// The worker has answered a probe.
    pub(in super::super) fn note_answer(&mut self, id: WorkerId, now: Instant) {
        let Self { looks, workers, .. } = self;
        let (Some(watched), Some(worker)) = (looks.watched.get_mut(&id), workers.get(&id)) else {
            return;
        };
        worker.counters.set_blocked(false);
        if watched.pulse.answered(&Of(&worker.lanes)) {
            self.deadlines.add(now + SOON, Due::LookAt(id));
        }
    }

    /// The worker has told its JavaScript stack, which it was asked for; `None` if there is none.
    pub(crate) fn has_stack(&mut self, id: WorkerId, stack: Option<String>, now: Instant) {
        let Some(watched) = self.looks.watched.get_mut(&id) else { return };
        if matches!(watched.stack, Stack::Asked(_)) {
            watched.stack = stack.map_or(Stack::None, Stack::Told);
            let time = watched.pulse.blocked();
            if let (Some(time), Some(timeouts)) = (time, self.hang_timeouts()) {
                self.judge(id, time, timeouts, now);
            }
        }
    }

    /// A worker has been blocked for this time, and still is.
    fn judge(&mut self, id: WorkerId, time: Duration, timeouts: Timeouts, now: Instant) {
        let Self { looks, workers, .. } = self;
        let (Some(watched), Some(worker)) = (looks.watched.get_mut(&id), workers.get(&id)) else {
            return;
        };
        let is_hung = !timeouts.hung.is_zero() && time >= timeouts.hung;
        let may_hang = !timeouts.hung.is_zero() && time >= timeouts.asking();
        let is_quiet = watched.reported.is_none_or(|at| now.duration_since(at) >= REPORT_PAUSE);
        let is_blocked = !timeouts.blocked.is_zero() && time >= timeouts.blocked && is_quiet;
        if !(may_hang || is_blocked) {
            return;
        }
        match watched.stack {
            Stack::NotAsked => {
                watched.stack = match worker.lanes.ask_for_stack() {
                    true => Stack::Asked(now),
                    false => Stack::None,
                };
            }
            Stack::Asked(at) if now.duration_since(at) >= STACK_PATIENCE => {
                watched.stack = Stack::None;
            }
            Stack::Asked(_) | Stack::None | Stack::Told(_) => {}
        }
        let is_awaited = matches!(watched.stack, Stack::Asked(_));
        if !is_hung && (!is_blocked || is_awaited) {
            return;
        }
        // A breakpoint looks like a loop without an end. When the debugger leaves, what there was before counts
        // for nothing, because the worker may have been at one until now.
        let is_debugged = worker.lanes.has_inspector_client();
        if replace(&mut watched.was_debugged, is_debugged) || is_debugged {
            watched.pulse.forgive();
            return;
        }
        let stack = watched.stack.told().map(|stack| stack.trim_end().to_owned());
        if is_hung {
            let stack = stack.or_else(|| watched.last_stack.take());
            self.found_hung(id, time, stack, now);
        } else {
            // The next report tells where it is then.
            watched.stack = Stack::NotAsked;
            watched.last_stack.clone_from(&stack);
            watched.reported = Some(now);
            self.found_blocked(id, time, stack, now);
        }
    }

    fn found_blocked(
        &mut self,
        worker: WorkerId,
        time: Duration,
        stack: Option<String>,
        now: Instant,
    ) {
        self.looks.count(stack.as_deref(), time);
        self.driver.report(Report::Blocked { worker, time, stack });
        // The count is published.
        self.supervise(now, |_| {});
    }

    fn found_hung(
        &mut self,
        worker: WorkerId,
        time: Duration,
        stack: Option<String>,
        now: Instant,
    ) {
        let place = stack.as_deref().unwrap_or("at an unknown place");
        let line = format_args!("worker {worker} hangs for {} ms\n{place}", time.as_millis());
        self.driver.debug_log(line);
        self.looks.watched.remove(&worker);
        self.driver.report(Report::Hung { worker, time, stack });
        self.supervise(now, |supervisor| supervisor.hangs(worker, now));
    }
}

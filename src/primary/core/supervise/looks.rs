//! Looks at the event loops of workers, at regular times: reports those that are blocked, and those that hang.

use std::time::{Duration, Instant};

use super::{
    super::{
        deadlines::Due,
        driver::{Driver, Lanes},
        state::Core,
        suspicion::Load,
    },
    beat::{Finding, Pulse, Vitals},
    watched::{Looks, Place, STACK_PATIENCE, Stack, Timeouts, Watched},
};
use crate::protocol::WorkerId;

/// How long a worker that has answered needs to go back to sleep.
const SOON: Duration = Duration::from_millis(5);

/// How often a worker is reported as blocked, at most.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// The port of Node's inspector, unless it is told another.
pub(crate) const INSPECTOR: u16 = 9229;

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
    /// From now on these timeouts concern all workers that are [looked at](Self::look_at).
    pub(crate) fn set_hang_timeouts(&mut self, timeouts: Timeouts) {
        self.looks.timeouts = timeouts;
    }

    /// Begins to look at a worker, whose inspector has this port: one that has started.
    pub(crate) fn look_at(&mut self, id: WorkerId, inspect_port: u16, now: Instant) {
        let Looks { timeouts, watched, .. } = &mut self.looks;
        if !timeouts.are_off() {
            let pulse = Pulse::new(now);
            let (stack, reported) = (Stack::NotAsked, None);
            watched.entry(id).or_insert(Watched { pulse, inspect_port, stack, reported });
            let at = now + timeouts.interval();
            self.look_next(at);
        }
    }

    /// No longer looks at a worker.
    pub(crate) fn look_away_from(&mut self, id: WorkerId) {
        self.looks.watched.remove(&id);
    }

    /// Where workers have been blocked.
    pub(crate) fn blocked_places(&self) -> &[Place] {
        &self.looks.places
    }

    fn look_next(&mut self, at: Instant) {
        if let Some(at) = self.looks.next.ask(at) {
            self.deadlines.add(at, Due::Look);
        }
    }

    /// Looks at all workers.
    pub(crate) fn look(&mut self, now: Instant) {
        if !self.looks.next.take(now) {
            return;
        }
        let ids: Vec<_> = self.looks.watched.keys().copied().collect();
        let mut all_sleep = true;
        for id in ids {
            all_sleep &= self.look_at_one(id, now);
        }
        if !self.looks.watched.is_empty() {
            let timeouts = self.looks.timeouts;
            let interval = if all_sleep { timeouts.interval_asleep() } else { timeouts.interval() };
            self.look_next(now + interval);
        }
    }

    /// Looks at one worker. Returns whether it sleeps.
    pub(crate) fn look_at_one(&mut self, id: WorkerId, now: Instant) -> bool {
        let Self { looks, workers, .. } = self;
        let timeouts = looks.timeouts;
        let Some(watched) = looks.watched.get_mut(&id) else { return true };
        let Some(worker) = workers.get(&id) else {
            looks.watched.remove(&id);
            return true;
        };
        let lanes = Of(&worker.lanes);
        match watched.pulse.look(&lanes, timeouts.interval(), timeouts.doubt(), now) {
            Finding::Well => watched.stack = Stack::NotAsked,
            Finding::Unknown => {
                watched.stack = Stack::NotAsked;
                self.probe(id, now);
            }
            Finding::Blocked(time) => self.judge(id, time, now),
        }
        self.looks.watched.get(&id).is_none_or(|watched| watched.pulse.is_asleep())
    }

    /// The worker has answered a probe.
    pub(crate) fn note_answer(&mut self, id: WorkerId, now: Instant) {
        let Self { looks, workers, .. } = self;
        if let (Some(watched), Some(worker)) = (looks.watched.get_mut(&id), workers.get(&id))
            && watched.pulse.answered(&Of(&worker.lanes))
        {
            self.deadlines.add(now + SOON, Due::LookAt(id));
        }
    }

    /// The worker has told its JavaScript stack, which it was asked for; `None` if there is none.
    pub(crate) fn has_stack(&mut self, id: WorkerId, stack: Option<String>, now: Instant) {
        let Some(watched) = self.looks.watched.get_mut(&id) else { return };
        if matches!(watched.stack, Stack::Asked(_)) {
            watched.stack = stack.map_or(Stack::None, Stack::Told);
            let time = watched.pulse.blocked();
            if let Some(time) = time {
                self.judge(id, time, now);
            }
        }
    }

    /// A worker has been blocked for this time, and still is.
    fn judge(&mut self, id: WorkerId, time: Duration, now: Instant) {
        let Self { looks, workers, .. } = self;
        let timeouts = looks.timeouts;
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
        // A breakpoint looks like a loop without an end.
        if worker.lanes.has_inspector_client(watched.inspect_port) {
            watched.pulse.forgive();
            return;
        }
        let stack = watched.stack.told().map(|stack| stack.trim_end().to_owned());
        if is_hung {
            self.look_away_from(id);
            self.found_hung(id, time, stack, now);
        } else {
            // The next report tells where it is then.
            watched.stack = Stack::NotAsked;
            watched.reported = Some(now);
            self.found_blocked(id, time, stack);
        }
    }

    fn found_blocked(&mut self, id: WorkerId, time: Duration, stack: Option<String>) {
        self.looks.count(stack.as_deref(), time);
        self.driver.debug_log(format_args!(
            "worker {id} is blocked since {} ms, {}",
            time.as_millis(),
            stack.as_deref().unwrap_or("without a stack")
        ));
    }

    fn found_hung(&mut self, id: WorkerId, time: Duration, stack: Option<String>, _now: Instant) {
        self.driver.debug_log(format_args!(
            "worker {id} hangs since {} ms, {}",
            time.as_millis(),
            stack.as_deref().unwrap_or("without a stack")
        ));
    }
}

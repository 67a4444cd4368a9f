//! Whether the event loop of a worker turns, and for how long it has not.
//!
//! A worker shows in shared memory that its event loop turns, so a look at one that does costs nothing. The beat
//! is also odd while the loop runs the callbacks of what it has polled, so an odd beat that stays the same
//! means that the worker sleeps in its poll, or is blocked in a callback. A worker of which that is not known
//! is probed. If it answers, it is believed to sleep for as long as its process gets no processor time, because
//! it can't begin a callback without.
//!
//! From the probe on, time is counted in which the worker could have answered. One that is runnable is
//! charged the processor time that it had, one that sleeps or is stopped all time. Time in which the engine
//! itself did not look is not counted.

use std::time::{Duration, Instant};

use super::super::suspicion::Load;

/// The processor time that a process needs at least to wake, run a callback and sleep again, and at most if it is
/// charged as one that has slept.
const BARELY: Duration = Duration::from_millis(5);

/// What a look may ask about a worker. Only the beat is free.
pub(crate) trait Vitals {
    /// A number that changes twice in each turn of the event loop, and is odd while that polls and runs the
    /// callbacks of what it has polled. `None` if the worker does not count turns.
    fn beat(&self) -> Option<u64>;

    /// The processor time that all threads of the process have had.
    fn processor_time(&self) -> Option<Duration>;

    /// How the process gets on.
    fn load(&self) -> Option<Load>;
}

/// What a look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The event loop turns, or sleeps.
    Well,
    /// It may be blocked, and is to be asked whether it turns.
    Unknown,
    /// It is asked, does not answer, and could have answered for this time.
    Blocked(Duration),
}

/// What is known of the event loop of one worker.
#[derive(Debug)]
pub(crate) struct Pulse {
    beat: Option<u64>,
    looked: Instant,
    /// Whether the last look came so late that the engine can't have run before.
    was_away: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It has turned since the look before.
    Turning,
    /// It has answered a probe, and not been looked at since.
    Answered,
    /// It sleeps in its poll, since it was asked last; `spent` is the processor time that its process has had.
    Asleep { spent: Option<Duration>, asked: Instant },
    /// It has not turned, and may be blocked.
    Suspect(Suspect),
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// For how long it could have answered.
    counted: Duration,
    /// The processor time of its process at the last look.
    spent: Option<Duration>,
    /// That of its main thread, if that is known.
    main: Option<Duration>,
}

impl Pulse {
    /// Of a worker that turns, as far as is known.
    pub(crate) fn new(now: Instant) -> Self {
        Self { beat: None, looked: now, was_away: false, state: State::Turning }
    }

    /// The worker has answered a probe. Returns whether to look again soon: then it is known whether it sleeps.
    pub(crate) fn answered(&mut self, vitals: &impl Vitals) -> bool {
        let was_asked = matches!(self.state, State::Suspect(_) | State::Asleep { .. });
        self.beat = vitals.beat();
        self.state = State::Answered;
        was_asked
    }

    /// Whether it sleeps, as far as is known.
    pub(crate) fn is_asleep(&self) -> bool {
        matches!(self.state, State::Asleep { .. })
    }

    /// For how long it could have answered a probe, and has not.
    pub(crate) fn blocked(&self) -> Option<Duration> {
        match self.state {
            State::Suspect(suspect) => Some(suspect.counted),
            State::Turning | State::Answered | State::Asleep { .. } => None,
        }
    }

    /// Begins to count anew.
    pub(crate) fn forgive(&mut self) {
        if let State::Suspect(suspect) = &mut self.state {
            suspect.counted = Duration::ZERO;
        }
    }

    /// Looks at the worker, which happens every `interval`. A worker that sleeps is asked again after `doubt`, in
    /// case that it is blocked without having been seen to wake.
    pub(crate) fn look(
        &mut self,
        vitals: &impl Vitals,
        interval: Duration,
        doubt: Duration,
        now: Instant,
    ) -> Finding {
        let gap = now.saturating_duration_since(self.looked);
        let passed = gap.min(interval * 2);
        let is_away = gap > passed;
        // What the worker has answered meanwhile is read before the next look.
        let is_back = is_away && !self.was_away;
        self.was_away = is_away;
        self.looked = now;
        let beat = vitals.beat();
        if self.has_turned(beat) {
            let before = std::mem::replace(&mut self.beat, beat);
            // An answer that nothing else follows takes no more than the turn that it is sent in.
            let is_idle = matches!(self.state, State::Answered)
                && is_odd(beat)
                && turns_between(before, beat) <= 2;
            self.state = match is_idle {
                true => State::Asleep { spent: vitals.processor_time(), asked: now },
                false => State::Turning,
            };
            return Finding::Well;
        }
        match self.state {
            // It polled again before its answer was read.
            State::Answered if beat.is_none() || is_odd(beat) => {
                self.state = State::Asleep { spent: vitals.processor_time(), asked: now };
                Finding::Well
            }
            State::Asleep { spent, asked } => {
                let spends = vitals.processor_time();
                if spent == spends && now.saturating_duration_since(asked) < doubt {
                    return Finding::Well;
                }
                // All that it has had since the last look it has had in this callback, if it is in one.
                let had = spends
                    .zip(spent)
                    .map_or(Duration::ZERO, |(now, before)| now.saturating_sub(before));
                let counted = had.min(passed);
                self.state = State::Suspect(Suspect { counted, spent: spends, main: None });
                Finding::Unknown
            }
            State::Turning | State::Answered => {
                let spent = vitals.processor_time();
                let suspect = Suspect { counted: Duration::ZERO, spent, main: None };
                self.state = State::Suspect(suspect);
                Finding::Unknown
            }
            State::Suspect(suspect) => {
                let suspect = suspect.charge(vitals.load(), passed);
                self.state = State::Suspect(suspect);
                if is_back { Finding::Unknown } else { Finding::Blocked(suspect.counted) }
            }
        }
    }

    fn has_turned(&self, beat: Option<u64>) -> bool {
        beat.is_some() && beat != self.beat
    }
}

impl Suspect {
    /// It has not turned for a further time, and gets on like this now.
    fn charge(self, load: Option<Load>, passed: Duration) -> Self {
        // Where the kernel does not say, the worker counts as asleep.
        let Some(load) = load else { return Self { counted: self.counted + passed, ..self } };
        let since = |before: Option<Duration>, now: Duration| {
            before.map_or(Duration::ZERO, |before| now.saturating_sub(before))
        };
        let of_all = since(self.spent, load.all);
        let of_main = self.main.map_or(of_all, |main| since(Some(main), load.main));
        let had = if load.is_runnable {
            of_main
        } else if load.may_wait_for_thread {
            of_all
        } else if of_all <= BARELY {
            passed
        } else {
            // It has slept for a part of the time, and perhaps waited for a processor.
            of_main
        };
        Self {
            counted: self.counted + had.min(passed),
            spent: Some(load.all),
            main: Some(load.main),
        }
    }
}

fn is_odd(beat: Option<u64>) -> bool {
    beat.is_some_and(|beat| beat % 2 == 1)
}

/// By how much a beat has changed.
fn turns_between(before: Option<u64>, after: Option<u64>) -> u64 {
    before.zip(after).map_or(u64::MAX, |(before, after)| after.wrapping_sub(before))
}

#[cfg(test)]
mod tests;

//! What is known of the event loops of workers, and where these have been blocked.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{super::deadlines::Awaited, beat::Pulse, options::SuperviseOptions, status::Place};
use crate::protocol::WorkerId;

/// The longest time between two looks, and the shortest.
const LONGEST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(25);

/// The longest time between two looks while all workers sleep.
const LONGEST_ASLEEP: Duration = Duration::from_secs(1);

/// How often the counts are told: a second, less what a timer may be early.
const SAMPLE: Duration = Duration::from_millis(990);

/// After how long a worker that sleeps is asked again, at least.
const DOUBT: Duration = Duration::from_secs(5);

/// How long the answer to a request for a stack is awaited: a bit more than a worker takes that has none.
pub(super) const STACK_PATIENCE: Duration = Duration::from_millis(1250);

/// How many places at which workers have been blocked are counted. More are counted together.
const PLACES: usize = 1000;

/// When a worker is reported; zero: never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Timeouts {
    /// It hangs.
    pub(super) hung: Duration,
    /// Its event loop is blocked.
    pub(super) blocked: Duration,
}

impl Timeouts {
    pub(super) fn of(options: &SuperviseOptions) -> Self {
        let SuperviseOptions { hung_timeout, blocked_timeout, .. } = options;
        Self {
            hung: hung_timeout.unwrap_or_default(),
            blocked: blocked_timeout.unwrap_or_default(),
        }
    }

    pub(super) fn are_off(self) -> bool {
        self.hung.is_zero() && self.blocked.is_zero()
    }

    pub(super) fn interval(self) -> Duration {
        let quarter = |timeout: Duration| if timeout.is_zero() { LONGEST } else { timeout / 4 };
        quarter(self.hung).min(quarter(self.blocked)).clamp(SHORTEST, LONGEST)
    }

    /// The time to the next look where all workers sleep.
    pub(super) fn interval_asleep(self) -> Duration {
        match self.blocked.is_zero() {
            true => (self.hung / 16).clamp(self.interval(), LONGEST_ASLEEP),
            false => self.interval(),
        }
    }

    pub(super) fn doubt(self) -> Duration {
        (self.hung / 4).max(DOUBT)
    }

    /// When to ask a worker that may hang for its stack, so that the stack is there in time.
    pub(super) fn asking(self) -> Duration {
        self.hung.saturating_sub(STACK_PATIENCE).max(self.hung / 2)
    }
}

/// A worker that is looked at.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) pulse: Pulse,
    pub(super) stack: Stack,
    /// The stack of the last report, in case another is not told in time.
    pub(super) last_stack: Option<String>,
    pub(super) reported: Option<Instant>,
    /// Whether a debugger was there when this was last asked.
    pub(super) was_debugged: bool,
}

/// The JavaScript stack at which a worker is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stack {
    NotAsked,
    Asked(Instant),
    /// The worker has none to tell, or does not.
    None,
    Told(String),
}

impl Watched {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pulse: Pulse::new(now),
            stack: Stack::NotAsked,
            last_stack: None,
            reported: None,
            was_debugged: false,
        }
    }

    /// Its event loop turns, so where it was blocked is no longer of interest.
    pub(super) fn forget_stacks(&mut self) {
        self.stack = Stack::NotAsked;
        self.last_stack = None;
    }
}

impl Stack {
    /// What was told; nothing while it is awaited.
    pub(super) fn told(&self) -> Option<&str> {
        match self {
            Self::Told(stack) => Some(stack),
            Self::NotAsked | Self::Asked(_) | Self::None => None,
        }
    }
}

/// What is known from looks.
#[derive(Debug, Default)]
pub(in super::super) struct Looks {
    pub(super) watched: HashMap<WorkerId, Watched>,
    pub(super) next: Awaited,
    pub(in super::super) places: Vec<Place>,
    /// When the counts were told last.
    sampled: Option<Instant>,
}

impl Looks {
    /// Whether the counts are to be told again: at the first look after a second.
    pub(super) fn is_sample_due(&mut self, now: Instant) -> bool {
        let is_due = self.sampled.is_none_or(|at| now.duration_since(at) >= SAMPLE);
        if is_due {
            self.sampled = Some(now);
        }
        is_due
    }

    /// Counts a report.
    pub(super) fn count(&mut self, stack: Option<&str>, time: Duration) {
        let mut at = place(stack);
        let is_known = self.places.iter().any(|place| place.at == at);
        if !is_known && self.places.len() >= PLACES {
            "elsewhere".clone_into(&mut at);
        }
        match self.places.iter_mut().find(|place| place.at == at) {
            Some(place) => {
                place.count += 1;
                place.longest = place.longest.max(time);
            }
            None => self.places.push(Place { at, count: 1, longest: time }),
        }
    }
}

/// The file and the line of the innermost frame that is not Node's own, if there is one.
fn place(stack: Option<&str>) -> String {
    let lines = || stack.into_iter().flat_map(str::lines);
    let frame = lines().find(|line| !line.contains("(node:")).or_else(|| lines().next());
    let place = frame.and_then(|frame| {
        let location = frame.split_once(" (")?.1.strip_suffix(')')?;
        Some(location.rsplit_once(':')?.0.to_owned())
    });
    place.unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_file_and_line_of_the_innermost_frame_of_the_program() {
        for (stack, expected) in [
            (Some("at f (/a (b)/c.js:3:4)\nat g (/d.js:1:1)"), "/a (b)/c.js:3"),
            (Some("at readSync (node:fs:740:3)\nat g (file:///d.mjs:1:1)"), "file:///d.mjs:1"),
            (Some("at listOnTimeout (node:internal/timers:581:17)"), "node:internal/timers:581"),
            (Some("garbage"), "unknown"),
            (None, "unknown"),
        ] {
            assert_eq!(place(stack), expected);
        }
    }

    #[test]
    fn places_are_counted_and_bounded() {
        let mut looks = Looks::default();
        let second = Duration::from_secs(1);
        for line in 0..PLACES as u64 + 10 {
            looks.count(Some(&format!("at f (/a.js:{line}:1)")), second);
        }
        looks.count(Some("at f (/a.js:7:5)"), second * 3);
        assert_eq!(looks.places.len(), PLACES + 1);
        let at = |at: &str| looks.places.iter().find(|place| place.at == at).cloned().unwrap();
        assert_eq!(at("/a.js:7"), Place { at: "/a.js:7".into(), count: 2, longest: second * 3 });
        assert_eq!(at("elsewhere").count, 10);
    }

    #[test]
    fn timeouts_set_how_often_is_looked() {
        let millis = Duration::from_millis;
        for (hung, blocked, interval, asleep) in [
            (60_000, 0, 250, 1000),
            (2_000, 0, 250, 250),
            (500, 0, 125, 125),
            (60_000, 200, 50, 50),
            (0, 40, 25, 25),
        ] {
            let timeouts = Timeouts { hung: millis(hung), blocked: millis(blocked) };
            assert_eq!(timeouts.interval(), millis(interval));
            assert_eq!(timeouts.interval_asleep(), millis(asleep));
        }
        assert!(Timeouts::default().are_off());
    }
}

//! What one worker may ask for. One that wants more is at fault: it is broken, or means harm.

use std::time::{Duration, Instant};

use crate::protocol::control::Target;

/// A worker has, or asks for, more than a worker may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// More of what, for people.
    pub(crate) what: &'static str,
    /// How many it may have.
    pub(crate) limit: usize,
}

/// Listeners that a worker may serve at once.
pub(crate) const MAX_LISTENERS: usize = 1024;

/// Addresses in use that a worker may wait for at once, in case that they are about to be free.
pub(crate) const MAX_AWAITED: usize = 64;

/// The part of the primary's descriptors that the listeners of one worker may take up.
pub(crate) const DESCRIPTOR_SHARE: usize = 4;

/// The part that the listeners of all workers may: the rest is for new workers, and for connections.
const LISTENERS_SHARE: usize = 2;

/// Descriptors of this process for a socket that is bound to this address. A path has its directory and its file
/// open as well.
pub(crate) fn descriptors_at(target: &Target) -> usize {
    match target {
        Target::Unix { path } if !path.starts_with('\0') => 3,
        _ => 1,
    }
}

/// Whether listeners of one worker may take `own` descriptors, and those of all workers `all`, where this process
/// may have `limit`.
pub(crate) fn may_take(own: usize, all: usize, limit: usize) -> bool {
    own <= limit / DESCRIPTOR_SHARE && all <= limit / LISTENERS_SHARE
}

/// Requests that a worker may make at once.
const BURST: u32 = 10_000;

/// How soon it may make another one then: 5,000 a second.
const PAUSE: Duration = Duration::from_micros(200);

/// Bytes of requests that a worker may send at once.
const BURST_OF_BYTES: u32 = 4 * 1024 * 1024;

/// How soon it may send another one then: 320,000 a second, which are 5,000 of the longest requests that a worker
/// makes often.
const PAUSE_OF_BYTE: Duration = Duration::from_nanos(3125);

/// How long what a worker says of its descriptors stays as it is: all its listeners have to do with it. A worker
/// without any looks as often whether it has some again.
pub(crate) const STEADY: Duration = Duration::from_millis(10);

/// Requests of one worker that are heard before others get a turn.
const A_TURN: u32 = 64;

/// Bytes of them.
const BYTES_A_TURN: u32 = 16 * 1024;

/// What a worker says of its descriptors, which has an effect at once only if that of what it said before has
/// lasted for [`STEADY`].
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Claim {
    is_exhausted: bool,
    /// When the next change may have an effect.
    free: Option<Instant>,
    /// Whether that is waited for.
    is_awaited: bool,
}

/// What follows from a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The worker has descriptors, or has none, from now on.
    Now,
    /// To be [settled](Claim::settle) then.
    At(Instant),
    /// The same as before, or to be settled anyway.
    Already,
}

impl Claim {
    /// The worker says whether it has no descriptors, of which `believed` is known.
    pub(crate) fn say(&mut self, is_exhausted: bool, believed: bool, now: Instant) -> Claimed {
        self.is_exhausted = is_exhausted;
        if self.is_awaited || is_exhausted == believed {
            return Claimed::Already;
        }
        match self.free.filter(|free| *free > now) {
            Some(free) => {
                self.is_awaited = true;
                Claimed::At(free)
            }
            None => {
                self.free = Some(now + STEADY);
                Claimed::Now
            }
        }
    }

    /// What the worker said last has its effect. Says what that was.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        self.is_awaited = false;
        self.free = Some(now + STEADY);
        self.is_exhausted
    }
}

/// So many of something at once, and then one after each pause.
struct Allowance {
    burst: u32,
    pause: Duration,
    /// When all of them are allowed again.
    full: Instant,
}

impl Allowance {
    fn new(burst: u32, pause: Duration, now: Instant) -> Self {
        Self { burst, pause, full: now }
    }

    /// Counts some. Says false when they are too many.
    fn take(&mut self, count: u32, now: Instant) -> bool {
        self.full = self.full.max(now) + self.pause * count;
        self.full.duration_since(now) <= self.pause * self.burst
    }
}

/// What a worker may ask for now.
pub(crate) struct Requests {
    requests: Allowance,
    bytes: Allowance,
    /// How many have been heard in this turn, and their bytes.
    turn: (u32, u32),
}

impl Requests {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            requests: Allowance::new(BURST, PAUSE, now),
            bytes: Allowance::new(BURST_OF_BYTES, PAUSE_OF_BYTE, now),
            turn: (0, 0),
        }
    }

    /// Counts one of so many bytes.
    ///
    /// # Errors
    /// When it is one too many, or too long.
    pub(crate) fn take(&mut self, length: usize, now: Instant) -> Result<(), Exceeded> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.turn = (self.turn.0 + 1, self.turn.1.saturating_add(length));
        // No packet is longer than a burst, as the lane has no room for one.
        if !self.bytes.take(length.min(BURST_OF_BYTES), now) {
            return Err(Exceeded {
                what: "bytes of requests at once",
                limit: BURST_OF_BYTES as usize,
            });
        }
        if !self.requests.take(1, now) {
            return Err(Exceeded { what: "requests at once", limit: BURST as usize });
        }
        Ok(())
    }

    /// Whether others are to get a turn now. Says it once.
    pub(crate) fn ends_turn(&mut self) -> bool {
        let is_over = self.turn.0 >= A_TURN || self.turn.1 >= BYTES_A_TURN;
        if is_over {
            self.turn = (0, 0);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::control::{MAX_PACKET, SHORT};

    #[test]
    fn as_many_as_may_come_at_once_may_come_again_after_a_while() {
        let now = Instant::now();
        let mut requests = Allowance::new(BURST, PAUSE, now);
        assert!((0..BURST).all(|_| requests.take(1, now)));
        assert!(!requests.take(1, now));
        let later = now + PAUSE * BURST / 2;
        assert_eq!((0..BURST).filter(|_| requests.take(1, later)).count(), BURST as usize / 2 - 1);
        let later = now + PAUSE * BURST * 10;
        let mut requests = Allowance::new(BURST, PAUSE, now);
        assert!((0..BURST).all(|_| requests.take(1, later)));
        assert!(!requests.take(1, later));
    }

    #[test]
    fn listeners_leave_descriptors_for_other_workers_and_for_connections() {
        assert!(may_take(256, 512, 1024));
        assert!(!may_take(257, 257, 1024));
        assert!(!may_take(1, 513, 1024));
        let path = |path: &str| descriptors_at(&Target::Unix { path: path.into() });
        assert_eq!((path("/run/socket"), path("\0name")), (3, 1));
        assert_eq!(descriptors_at(&Target::Tcp { address: None, port: 0 }), 1);
    }

    /// How many requests of so many bytes come at once.
    fn at_once(length: usize) -> usize {
        let now = Instant::now();
        let mut requests = Requests::new(now);
        (0..).take_while(|_| requests.take(length, now).is_ok()).count()
    }

    #[test]
    fn long_requests_are_fewer() {
        assert_eq!(at_once(SHORT), BURST as usize);
        assert_eq!(at_once(MAX_PACKET), BURST_OF_BYTES as usize / MAX_PACKET);
        assert_eq!(
            PAUSE_OF_BYTE * SHORT as u32,
            PAUSE,
            "the short ones are limited by their number"
        );
    }

    #[test]
    fn what_a_worker_says_of_its_descriptors_changes_rarely_and_the_last_word_counts() {
        let start = Instant::now();
        let mut claim = Claim::default();
        let (mut believed, mut changes, mut awaited) = (false, 0, None);
        for millis in 0..1000 {
            let now = start + Duration::from_millis(millis);
            if awaited.is_some_and(|at| at <= now) {
                awaited = None;
                let settled = claim.settle(now);
                changes += u32::from(std::mem::replace(&mut believed, settled) != settled);
            }
            for is_exhausted in [true, false, true, millis % 2 == 0] {
                match claim.say(is_exhausted, believed, now) {
                    Claimed::Now => {
                        believed = is_exhausted;
                        changes += 1;
                    }
                    Claimed::At(at) => assert_eq!(awaited.replace(at), None, "one waits"),
                    Claimed::Already => {}
                }
            }
        }
        assert!((2..=100).contains(&changes), "{changes} in a second");
        let now = start + Duration::from_secs(2);
        if awaited.is_some() {
            believed = claim.settle(now);
        }
        assert!(!believed, "as it said last");
        assert_eq!(claim.say(true, believed, now + STEADY), Claimed::Now);
    }

    #[test]
    fn others_get_a_turn_after_a_few_requests_or_a_long_one() {
        let now = Instant::now();
        for (length, most) in [(20, A_TURN), (1024, 16), (MAX_PACKET, 1)] {
            let mut requests = Requests::new(now);
            for _ in 0..3 {
                let mut count = 0;
                while !requests.ends_turn() {
                    requests.take(length, now).unwrap();
                    count += 1;
                }
                assert_eq!(count, most);
            }
        }
    }
}

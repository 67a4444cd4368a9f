//! How fast connections come.

use std::time::{Duration, Instant};

/// So many connections are counted at a time.
const COUNTED: u32 = 64;

/// Connections come fast from when so many come in so short a time: 4,000 a second.
const FAST: Duration = Duration::from_millis(16);

/// They come slowly again when fewer come in so long a time: 2,000 a second.
const SLOW: Duration = Duration::from_millis(32);

/// Whether connections come fast. Between the two rates it stays as it was.
#[derive(Debug)]
pub(super) struct Pace {
    is_fast: bool,
    begin: Instant,
    count: u32,
}

impl Pace {
    /// Slow at first.
    pub(super) fn new(now: Instant) -> Self {
        Self { is_fast: false, begin: now, count: 0 }
    }

    /// Counts a connection. Says whether connections come fast.
    pub(super) fn accepted(&mut self, now: Instant) -> bool {
        self.count += 1;
        let taken = now.duration_since(self.begin);
        if taken >= SLOW {
            *self = Self::new(now);
        } else if self.count >= COUNTED {
            let is_fast = self.is_fast || taken <= FAST;
            *self = Self { is_fast, ..Self::new(now) };
        }
        self.is_fast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether so many connections at this rate are fast in the end.
    fn after(pace: &mut Pace, now: &mut Instant, rate: u32, count: u32) -> bool {
        let mut is_fast = false;
        for _ in 0..count {
            *now += Duration::from_secs(1) / rate;
            is_fast = pace.accepted(*now);
        }
        is_fast
    }

    #[test]
    fn many_connections_are_fast_until_few_come() {
        let mut now = Instant::now();
        let pace = &mut Pace::new(now);
        assert!(!after(pace, &mut now, 1_000, 1_000));
        assert!(!after(pace, &mut now, 3_000, 3_000));
        assert!(after(pace, &mut now, 5_000, 2 * COUNTED));
        assert!(after(pace, &mut now, 3_000, 3_000), "between the two rates it stays");
        assert!(!after(pace, &mut now, 1_900, 2 * COUNTED));
    }

    #[test]
    fn the_first_connection_after_a_rush_is_slow() {
        let mut now = Instant::now();
        let pace = &mut Pace::new(now);
        assert!(after(pace, &mut now, 20_000, 200));
        assert!(!after(pace, &mut now, 10, 1));
    }

    #[test]
    fn a_few_at_once_are_not_fast() {
        let mut now = Instant::now();
        let pace = &mut Pace::new(now);
        for _ in 0..100 {
            now += SLOW;
            assert!(!after(pace, &mut now, 100_000, COUNTED / 2));
        }
    }
}

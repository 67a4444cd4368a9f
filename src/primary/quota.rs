//! What one worker may ask for. One that wants more is at fault: it is broken, or means harm.

use std::time::{Duration, Instant};

/// Listeners that a worker may serve at once. Each is a descriptor of the primary, or more.
pub(super) const MAX_LISTENERS: usize = 1024;

/// Addresses in use that a worker may wait for at once, in case that they are about to be free.
pub(super) const MAX_AWAITED: usize = 64;

/// The part of the primary's descriptors that the listeners of one worker may take up.
pub(super) const DESCRIPTOR_SHARE: usize = 4;

/// Requests that a worker may make at once.
pub(super) const BURST: u32 = 10_000;

/// How soon it may make another one then: 5,000 a second.
const PAUSE: Duration = Duration::from_micros(200);

/// How many requests a worker may make now.
pub(super) struct Requests {
    /// When it may make all of them again.
    full: Instant,
}

impl Requests {
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// Counts one. Says false when it is one too many.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.full = self.full.max(now) + PAUSE;
        self.full.duration_since(now) <= PAUSE * BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_may_come_at_once_may_come_again_after_a_while() {
        let now = Instant::now();
        let mut requests = Requests::new(now);
        assert!((0..BURST).all(|_| requests.take(now)));
        assert!(!requests.take(now));
        let later = now + PAUSE * BURST / 2;
        assert_eq!((0..BURST).filter(|_| requests.take(later)).count(), BURST as usize / 2 - 1);
        let later = now + PAUSE * BURST * 10;
        let mut requests = Requests::new(now);
        assert!((0..BURST).all(|_| requests.take(later)));
        assert!(!requests.take(later));
    }
}

use std::time::{Duration, Instant};

/// How long to look for more before going to sleep. To sleep and to be woken takes two processes
/// about as long together.
const LONGEST: Duration = Duration::from_micros(30);

/// Turns without a look, at most, after looks in vain.
const LONGEST_PAUSE: u32 = 255;

/// Decides whether looking pays: as long as answers come at once it does, and otherwise it is tried
/// ever more rarely.
#[derive(Debug, Default)]
pub(super) struct AdaptiveSpin {
    /// After the last look in vain; 0 when the last one was not.
    pause: u32,
    /// Left of it.
    left: u32,
}

impl AdaptiveSpin {
    /// Waits until `is_there`, if that is likely to be soon. Says whether it is.
    pub(super) fn until(&mut self, is_there: impl Fn() -> bool) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        let came = is_there() || comes(is_there);
        self.pause = if came { 0 } else { (2 * self.pause + 1).min(LONGEST_PAUSE) };
        self.left = self.pause;
        came
    }
}

/// Whether it comes in time.
fn comes(is_there: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < LONGEST {
        std::hint::spin_loop();
        if is_there() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many of `turns` looked, of whom nothing came.
    fn looks_in_vain(spin: &mut AdaptiveSpin, turns: u32) -> usize {
        (0..turns)
            .filter(|_| {
                let looked = Cell::new(false);
                assert!(!spin.until(|| {
                    looked.set(true);
                    false
                }));
                looked.get()
            })
            .count()
    }

    #[test]
    fn it_looks_as_long_as_something_comes() {
        let mut spin = AdaptiveSpin::default();
        assert!((0..1000).all(|_| spin.until(|| true)));
        let looks = Cell::new(0);
        assert!(spin.until(|| {
            looks.set(looks.get() + 1);
            looks.get() == 3
        }));
    }

    #[test]
    fn it_looks_ever_more_rarely_in_vain() {
        let mut spin = AdaptiveSpin::default();
        assert_eq!(looks_in_vain(&mut spin, 1), 1);
        assert_eq!(looks_in_vain(&mut spin, 1000), 9);
        assert_eq!(looks_in_vain(&mut spin, 256_000), 1000);
    }

    #[test]
    fn one_answer_in_time_is_enough_to_look_again() {
        let mut spin = AdaptiveSpin::default();
        looks_in_vain(&mut spin, 1000);
        while !spin.until(|| true) {}
        assert_eq!(looks_in_vain(&mut spin, 1), 1);
    }
}

use std::time::{Duration, Instant};

/// How long to spin before sleeping: about as long as it takes both processes together for one to sleep
/// and be woken.
const LONGEST: Duration = Duration::from_micros(30);

/// How many turns to skip at most after spinning in vain.
const LONGEST_PAUSE: u32 = 255;

/// Decides whether spinning pays: it does as long as answers come at once; otherwise it is tried less
/// and less often.
#[derive(Debug, Default)]
pub(super) struct AdaptiveSpin {
    /// How many turns to skip after the last spin in vain; 0 if the last spin succeeded.
    pause: u32,
    /// How many of these turns are left.
    left: u32,
}

impl AdaptiveSpin {
    /// Spins until `is_there`, if that is likely to be soon. Returns whether it is there.
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

/// Spins for at most [`LONGEST`]. Returns whether it came.
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

    /// How many of `turns` spun, when nothing comes.
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

//! Whether a number for another descriptor is left, without a system call for each question.

use std::{
    cell::Cell,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use super::{
    descriptor::descriptor_limit, platform::usage::descriptor_table_size,
    reserve::has_free_descriptor,
};

/// Numbers of which this process has never used one, for each that is taken without a check. So all other
/// code of the process has to open so many meanwhile for one descriptor before one is lost.
const UNUSED_FOR_EACH: usize = 256;

/// Descriptors taken until the numbers are looked at again, at most.
const UNCHECKED: u32 = 256;

/// For how long after a look at the numbers descriptors are taken without a check.
const FRESH: Duration = Duration::from_secs(1);

/// Fewer are not worth a look.
const WORTH_A_LOOK: u32 = 64;

/// Answers for a thread that takes a descriptor after each answer.
///
/// The kernel's table of descriptors has room for those that the process has had at the same time, and grows
/// in powers of two. All numbers beyond the table, up to the limit of the process, are free. Where these are
/// many, the next descriptors surely get a number. Otherwise each question is a [check](has_free_descriptor).
#[derive(Debug, Default)]
pub struct FreeDescriptors {
    /// How many may be taken without a check, …
    unchecked: Cell<u32>,
    /// … and until when.
    unchecked_until: Cell<Option<Instant>>,
    /// For how many there are checks until the numbers are looked at again.
    checked: Cell<u32>,
}

impl FreeDescriptors {
    /// Whether there is a number for the descriptor that is taken next. `open` is any open descriptor.
    pub fn has_one(&self, open: impl AsFd) -> bool {
        self.answer(Instant::now(), unused, || has_free_descriptor(open))
    }

    /// The last answer was wrong: the process had no number for the descriptor. The next answers are checked.
    pub fn was_wrong(&self) {
        self.unchecked.set(0);
        self.checked.set(UNCHECKED);
    }

    fn answer(
        &self,
        now: Instant,
        unused: impl FnOnce() -> usize,
        check: impl FnOnce() -> bool,
    ) -> bool {
        if self.unchecked_until.get().is_some_and(|until| now >= until) {
            self.unchecked_until.set(None);
            self.unchecked.set(0);
        }
        if self.unchecked.get() == 0 && self.checked.get() == 0 {
            let unchecked = (unused() / UNUSED_FOR_EACH).try_into().unwrap_or(u32::MAX);
            if unchecked < WORTH_A_LOOK {
                self.checked.set(UNCHECKED);
            } else {
                self.unchecked.set(unchecked.min(UNCHECKED));
                self.unchecked_until.set(Some(now + FRESH));
            }
        }
        if let Some(left) = self.unchecked.get().checked_sub(1) {
            self.unchecked.set(left);
            return true;
        }
        self.checked.set(self.checked.get() - 1);
        check()
    }
}

/// How many numbers are free, at least.
fn unused() -> usize {
    descriptor_table_size().map_or(0, |size| descriptor_limit().saturating_sub(size))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::sys::{descriptor::duplicate_above, lane::packet_pair};

    /// How many of so many questions are checked, and how many looks these take.
    fn count(unused: usize, questions: u32) -> (u32, u32) {
        let (free, now) = (FreeDescriptors::default(), Instant::now());
        let (mut checks, mut looks) = (0, 0);
        for _ in 0..questions {
            let look = || {
                looks += 1;
                unused
            };
            let check = || {
                checks += 1;
                true
            };
            assert!(free.answer(now, look, check));
        }
        (checks, looks)
    }

    #[test]
    fn where_numbers_are_many_nothing_is_checked() {
        assert_eq!(count(1 << 20, 1024), (0, 4));
        assert_eq!(count(usize::MAX, 1024), (0, 4));
        // One for every 256 numbers.
        assert_eq!(count(100 * UNUSED_FOR_EACH, 1000), (0, 10));
    }

    #[test]
    fn where_numbers_may_be_few_each_question_is_checked() {
        for unused in [0, 1024, 63 * UNUSED_FOR_EACH] {
            assert_eq!(count(unused, 1024), (1024, 4), "{unused} unused");
        }
    }

    #[test]
    fn a_check_that_fails_is_the_answer() {
        let (free, now) = (FreeDescriptors::default(), Instant::now());
        assert!(!free.answer(now, || 0, || false));
        assert!(free.answer(now, || 0, || true));
    }

    #[test]
    fn after_a_wrong_answer_each_question_is_checked() {
        let (free, now) = (FreeDescriptors::default(), Instant::now());
        assert!(free.answer(now, || usize::MAX, || false));
        free.was_wrong();
        for _ in 0..UNCHECKED {
            assert!(!free.answer(now, || usize::MAX, || false));
        }
        assert!(free.answer(now, || usize::MAX, || false));
    }

    #[test]
    fn what_was_seen_long_ago_is_not_believed() {
        let (free, now) = (FreeDescriptors::default(), Instant::now());
        assert!(free.answer(now, || usize::MAX, || false));
        assert!(free.answer(now + FRESH / 2, || 0, || false));
        assert!(!free.answer(now + FRESH, || 0, || false));
    }

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "the size of the table is not known")]
    fn numbers_in_use_do_not_count_as_unused() {
        let (socket, _other) = packet_pair().unwrap();
        for min in [70, 300, 900] {
            let copy = duplicate_above(socket.as_raw_fd(), min).unwrap();
            let used = usize::try_from(copy.as_raw_fd()).unwrap() + 1;
            let size = descriptor_table_size().unwrap();
            assert!(size >= used, "{size} for {used}");
            assert!(unused() <= descriptor_limit() - used);
        }
    }
}

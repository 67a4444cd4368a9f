//! Looks for something at any of many places, at a few of them at a time.

/// Places looked at in one look. Each is a system call, and everything else waits meanwhile.
const A_LOOK: usize = 64;

/// How far a look around has come.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Round {
    /// Where the next look begins: where there was something, if there was.
    next: usize,
    /// Places in a row at which there was nothing.
    in_vain: usize,
}

impl Round {
    /// Whether there is something at one of so many places; not known, unless one of those looked at now has
    /// some, or a look around has ended.
    pub(crate) fn look(
        &mut self,
        places: usize,
        mut has_some: impl FnMut(usize) -> bool,
    ) -> Option<bool> {
        for _ in 0..places.min(A_LOOK) {
            self.next %= places;
            if has_some(self.next) {
                self.in_vain = 0;
                return Some(true);
            }
            self.next += 1;
            self.in_vain += 1;
            if self.in_vain >= places {
                break;
            }
        }
        if self.in_vain < places {
            return None;
        }
        self.in_vain = 0;
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look finds, and how many places it looks at.
    fn look(round: &mut Round, places: usize, full: Option<usize>) -> (Option<bool>, usize) {
        let mut count = 0;
        let found = round.look(places, |place| {
            count += 1;
            assert!(place < places);
            Some(place) == full
        });
        (found, count)
    }

    #[test]
    fn a_look_is_at_few_places_and_returns_to_where_something_was() {
        let round = &mut Round::default();
        for _ in 0..1000 / A_LOOK {
            assert_eq!(look(round, 1000, Some(999)), (None, A_LOOK));
        }
        assert_eq!(look(round, 1000, Some(999)), (Some(true), 1000 % A_LOOK));
        assert_eq!(look(round, 1000, Some(999)), (Some(true), 1));
        assert_eq!(look(round, 1000, Some(7)), (Some(true), 9));
        assert_eq!(look(round, 2, Some(1)), (Some(true), 1));
    }

    #[test]
    fn nothing_is_there_when_a_look_around_was_in_vain() {
        let round = &mut Round::default();
        assert_eq!(look(round, 0, None), (Some(false), 0));
        for _ in 0..3 {
            assert_eq!(look(round, 3, None), (Some(false), 3));
            for _ in 0..1000 / A_LOOK {
                assert_eq!(look(round, 1000, None), (None, A_LOOK));
            }
            assert_eq!(look(round, 1000, None), (Some(false), 1000 % A_LOOK));
        }
    }
}

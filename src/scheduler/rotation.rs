use std::collections::VecDeque;

use super::unavailable::Unavailable;
use crate::protocol::WorkerId;

/// How many workers a decision compares at most: exact with up to as many workers, and nearly as good
/// with more (see [`Rotation::take_least`]).
pub(super) const COMPARED: usize = 16;

/// How many unavailable workers to try when no other is left.
const TRIED: usize = 4;

/// Workers in turn.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// In the order of their turns.
    members: VecDeque<WorkerId>,
    /// Members too, but without a turn.
    unavailable: Unavailable,
}

impl Rotation {
    /// Adds a worker behind all that wait for a turn.
    pub(super) fn join(&mut self, worker: WorkerId) {
        self.members.push_back(worker);
    }

    pub(super) fn leave(&mut self, worker: WorkerId) -> bool {
        let index = self.members.iter().position(|&member| member == worker);
        index.and_then(|index| self.members.remove(index)).is_some()
            || self.unavailable.remove(worker)
    }

    /// Gives a member a turn again, behind all others, if it was unavailable.
    pub(super) fn restore(&mut self, worker: WorkerId) {
        if self.unavailable.remove(worker) {
            self.members.push_back(worker);
        }
    }

    /// Takes the member with the least load, in turn among equals. A load of `None` means that the
    /// member is unavailable: it is not queried again before [`restore`](Self::restore).
    ///
    /// Members are queried in turn, up to the first without load, so a decision among idle members
    /// queries only one. At most the next 16 available members are compared: even two would do nearly
    /// as well as all, "the power of two choices" (Mitzenmacher, 2001).
    ///
    /// If no member is left, a few unavailable ones are tried. So the cost of a decision does not
    /// depend on the number of members: each vain query is paid for by one join, restore or try.
    pub(super) fn take_least(
        &mut self,
        load: impl Fn(WorkerId) -> Option<usize>,
    ) -> Option<WorkerId> {
        if self.members.is_empty() {
            let again = std::iter::from_fn(|| self.unavailable.take());
            self.members.extend(again.take(TRIED));
        }
        let mut best: Option<(usize, usize)> = None;
        let mut index = 0;
        while index < self.members.len().min(COMPARED) {
            let worker = self.members[index];
            let Some(load) = load(worker) else {
                self.members.remove(index);
                self.unavailable.insert(worker);
                continue;
            };
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, index));
            }
            if load == 0 {
                break;
            }
            index += 1;
        }
        let (_, index) = best?;
        let chosen = self.members[index];
        self.members.rotate_left(index + 1);
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn rotation(workers: std::ops::RangeInclusive<WorkerId>) -> Rotation {
        let mut rotation = Rotation::default();
        workers.for_each(|worker| rotation.join(worker));
        rotation
    }

    /// The member that is chosen, and those that were queried.
    fn choose(
        rotation: &mut Rotation,
        load: impl Fn(WorkerId) -> Option<usize>,
    ) -> (Option<WorkerId>, Vec<WorkerId>) {
        let asked = RefCell::new(Vec::new());
        let chosen = rotation.take_least(|worker| {
            asked.borrow_mut().push(worker);
            load(worker)
        });
        (chosen, asked.into_inner())
    }

    #[test]
    fn who_can_take_no_more_is_asked_again_when_restored_and_waits_for_a_whole_round() {
        let mut rotation = rotation(1..=3);
        assert_eq!(choose(&mut rotation, |id| (id != 1).then_some(0)), (Some(2), vec![1, 2]));
        assert_eq!(choose(&mut rotation, |_| Some(1)), (Some(3), vec![3, 2]));
        rotation.restore(1);
        rotation.restore(1);
        let order: Vec<_> = (0..4).map(|_| rotation.take_least(|_| Some(0)).unwrap()).collect();
        assert_eq!(order, [2, 3, 1, 2]);
    }

    #[test]
    fn who_is_set_aside_can_leave() {
        let mut rotation = rotation(1..=1);
        assert_eq!(choose(&mut rotation, |_| None), (None, vec![1]));
        assert!(rotation.leave(1));
        assert!(!rotation.leave(1));
        rotation.restore(1);
        assert_eq!(choose(&mut rotation, |_| Some(0)), (None, vec![]));
    }

    #[test]
    fn of_many_the_next_in_turn_are_compared() {
        let mut rotation = rotation(1..=100);
        let load = |id| (id > 2).then_some(if id > 50 { 1 } else { 100 - id as usize });
        let (chosen, asked) = choose(&mut rotation, load);
        assert_eq!((chosen, asked), (Some(18), (1..=18).collect()), "without those that can't");
        assert_eq!(choose(&mut rotation, load).1, (19..=34).collect::<Vec<_>>());
    }

    #[test]
    fn when_none_is_left_a_few_are_tried_again_in_turn() {
        let mut rotation = rotation(1..=40);
        assert_eq!(choose(&mut rotation, |_| None), (None, (1..=40).collect()));
        for again in (1..=37).step_by(4) {
            assert_eq!(choose(&mut rotation, |_| None), (None, (again..again + 4).collect()));
        }
        assert_eq!(choose(&mut rotation, |id| (id == 3).then_some(0)), (Some(3), vec![1, 2, 3]));
    }
}

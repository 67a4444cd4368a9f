use super::{Policy, Situation, rotation::Rotation};
use crate::protocol::WorkerId;

/// `SCHED_RR`: the worker with the fewest waiting connections, in turn among equals, so in exact
/// rotation while all are idle. With more than 16 workers, only the next 16 in turn are compared.
#[derive(Debug, Default)]
pub struct RoundRobin {
    rotation: Rotation,
}

impl Policy for RoundRobin {
    fn join(&mut self, worker: WorkerId) {
        self.rotation.join(worker);
    }

    fn leave(&mut self, worker: WorkerId) -> bool {
        self.rotation.leave(worker)
    }

    fn restore(&mut self, worker: WorkerId) {
        self.rotation.restore(worker);
    }

    fn choose(&mut self, situation: &dyn Situation) -> Option<WorkerId> {
        self.rotation.take_least(|worker| situation.waiting(worker))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::HashMap};

    use proptest::prelude::*;

    use super::{super::test_situation::Situated, *};

    /// Only the number of waiting connections counts.
    fn choose(
        policy: &mut RoundRobin,
        waiting: impl Fn(WorkerId) -> Option<usize>,
    ) -> Option<WorkerId> {
        policy.choose(&Situated { waiting, open: |_| unreachable!(), source: None })
    }

    fn rotation(workers: &[WorkerId]) -> RoundRobin {
        let mut policy = RoundRobin::default();
        workers.iter().for_each(|&worker| policy.join(worker));
        policy
    }

    #[test]
    fn idle_workers_take_exact_turns() {
        let mut policy = rotation(&[1, 2, 3]);
        let asked = Cell::new(0);
        let mut served = HashMap::new();
        for _ in 0..300 {
            let worker = choose(&mut policy, |_| {
                asked.set(asked.get() + 1);
                Some(0)
            });
            *served.entry(worker.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(served, HashMap::from([(1, 100), (2, 100), (3, 100)]));
        assert_eq!(asked.get(), 300, "one question a decision");
    }

    #[test]
    fn the_order_is_the_order_of_joining() {
        let mut policy = rotation(&[1, 2, 3]);
        let order: Vec<_> = (0..6).filter_map(|_| choose(&mut policy, |_| Some(0))).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn a_busy_worker_is_passed_over() {
        let mut policy = rotation(&[1, 2, 3]);
        let load = |worker| Some(usize::from(worker == 1));
        let order: Vec<_> = (0..4).filter_map(|_| choose(&mut policy, load)).collect();
        assert_eq!(order, [2, 3, 2, 3]);
    }

    #[test]
    fn the_least_waiting_of_busy_workers_is_chosen() {
        let mut policy = rotation(&[1, 2, 3]);
        let loads = HashMap::from([(1, 3), (2, 1), (3, 2)]);
        assert_eq!(choose(&mut policy, |worker| loads.get(&worker).copied()), Some(2));
    }

    #[test]
    fn no_worker_is_chosen_when_all_are_full() {
        assert_eq!(choose(&mut rotation(&[1, 2]), |_| None), None);
        assert_eq!(choose(&mut rotation(&[]), |_| Some(0)), None);
    }

    #[test]
    fn a_worker_that_joins_waits_for_a_whole_round() {
        let mut policy = rotation(&[1, 2]);
        assert_eq!(choose(&mut policy, |_| Some(0)), Some(1));
        policy.join(3);
        let order: Vec<_> = (0..3).filter_map(|_| choose(&mut policy, |_| Some(0))).collect();
        assert_eq!(order, [2, 1, 3]);
    }

    proptest! {
        #[test]
        fn whoever_comes_and_goes_the_idle_rest_is_served_fairly(
            steps in prop::collection::vec((any::<bool>(), 0u32..12), 0..64),
        ) {
            let mut policy = RoundRobin::default();
            let mut members = Vec::new();
            for (join, worker) in steps {
                if join && !members.contains(&worker) {
                    policy.join(worker);
                    members.push(worker);
                } else if !join {
                    prop_assert_eq!(policy.leave(worker), members.contains(&worker));
                    members.retain(|&member| member != worker);
                }
                choose(&mut policy, |_| Some(0));
            }
            let mut served: HashMap<WorkerId, usize> = HashMap::new();
            for _ in 0..members.len() * 5 {
                *served.entry(choose(&mut policy, |_| Some(0)).unwrap()).or_default() += 1;
            }
            prop_assert_eq!(served.len(), members.len());
            prop_assert!(served.values().all(|&count| count == 5));
        }
    }
}

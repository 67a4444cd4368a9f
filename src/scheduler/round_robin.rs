use super::Policy;
use crate::protocol::WorkerId;

/// The least waiting first, in turn among equals: exact rotation when everybody is idle.
///
/// The worker whose turn it is is asked first and gets the connection when nothing waits there, so
/// the usual decision asks one worker, however many there are.
#[derive(Debug, Default)]
pub struct RoundRobin {
    ring: Vec<WorkerId>,
    /// Index into `ring` of the worker whose turn it is.
    turn: usize,
}

impl Policy for RoundRobin {
    fn join(&mut self, worker: WorkerId) {
        // Behind everybody who is already waiting for a turn: just before the current one.
        self.ring.insert(self.turn, worker);
        self.turn = (self.turn + 1) % self.ring.len();
    }

    fn leave(&mut self, worker: WorkerId) -> bool {
        let Some(index) = self.ring.iter().position(|&member| member == worker) else {
            return false;
        };
        self.ring.remove(index);
        if index < self.turn {
            self.turn -= 1;
        }
        if self.turn == self.ring.len() {
            self.turn = 0;
        }
        true
    }

    fn choose(&mut self, waiting: &mut dyn FnMut(WorkerId) -> Option<usize>) -> Option<WorkerId> {
        let members = self.ring.len();
        let mut best: Option<(usize, usize)> = None;
        for offset in 0..members {
            let index = (self.turn + offset) % members;
            let Some(load) = waiting(self.ring[index]) else {
                continue;
            };
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, index));
            }
            if load == 0 {
                break;
            }
        }
        let (_, index) = best?;
        self.turn = (index + 1) % members;
        Some(self.ring[index])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn ring(workers: &[WorkerId]) -> RoundRobin {
        let mut policy = RoundRobin::default();
        workers.iter().for_each(|&worker| policy.join(worker));
        policy
    }

    #[test]
    fn idle_workers_take_exact_turns() {
        let mut policy = ring(&[1, 2, 3]);
        let mut asked = 0;
        let mut served = HashMap::new();
        for _ in 0..300 {
            let worker = policy.choose(&mut |_| {
                asked += 1;
                Some(0)
            });
            *served.entry(worker.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(served, HashMap::from([(1, 100), (2, 100), (3, 100)]));
        assert_eq!(asked, 300, "one question a decision");
    }

    #[test]
    fn the_order_is_the_order_of_joining() {
        let mut policy = ring(&[1, 2, 3]);
        let order: Vec<_> = (0..6).filter_map(|_| policy.choose(&mut |_| Some(0))).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn a_busy_worker_is_passed_over() {
        let mut policy = ring(&[1, 2, 3]);
        let mut load = |worker| Some(usize::from(worker == 1));
        let order: Vec<_> = (0..4).filter_map(|_| policy.choose(&mut load)).collect();
        assert_eq!(order, [2, 3, 2, 3]);
    }

    #[test]
    fn the_least_waiting_of_busy_workers_is_chosen() {
        let mut policy = ring(&[1, 2, 3]);
        let loads = HashMap::from([(1, 3), (2, 1), (3, 2)]);
        assert_eq!(policy.choose(&mut |worker| loads.get(&worker).copied()), Some(2));
    }

    #[test]
    fn nobody_is_chosen_when_all_are_full() {
        assert_eq!(ring(&[1, 2]).choose(&mut |_| None), None);
        assert_eq!(ring(&[]).choose(&mut |_| Some(0)), None);
    }

    #[test]
    fn a_worker_that_joins_waits_for_a_whole_round() {
        let mut policy = ring(&[1, 2]);
        assert_eq!(policy.choose(&mut |_| Some(0)), Some(1));
        policy.join(3);
        let order: Vec<_> = (0..3).filter_map(|_| policy.choose(&mut |_| Some(0))).collect();
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
                policy.choose(&mut |_| Some(0));
            }
            let mut served: HashMap<WorkerId, usize> = HashMap::new();
            for _ in 0..members.len() * 5 {
                *served.entry(policy.choose(&mut |_| Some(0)).unwrap()).or_default() += 1;
            }
            prop_assert_eq!(served.len(), members.len());
            prop_assert!(served.values().all(|&count| count == 5));
        }
    }
}

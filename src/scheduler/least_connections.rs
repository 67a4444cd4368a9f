use super::{Policy, Situation, rotation::Rotation};
use crate::protocol::WorkerId;

/// `SCHED_LEAST_CONNECTIONS`: the worker with the fewest open connections, in turn among equals. For
/// connections that last, for different times: WebSockets, uploads, keep-alive.
#[derive(Debug, Default)]
pub struct LeastConnections {
    rotation: Rotation,
}

impl Policy for LeastConnections {
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
        self.rotation.take_least(|worker| situation.open(worker))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use super::{super::test_situation::Situated, *};

    #[test]
    fn the_fewest_open_connections_come_first_and_equals_take_turns() {
        let mut policy = LeastConnections::default();
        for worker in [1, 2, 3] {
            policy.join(worker);
        }
        let open = RefCell::new(HashMap::from([(1, 2), (2, 0), (3, 5)]));
        let situation = Situated {
            waiting: |_| unreachable!(),
            open: |worker| open.borrow().get(&worker).copied(),
            source: None,
        };
        let mut order = Vec::new();
        for _ in 0..7 {
            let worker = policy.choose(&situation).unwrap();
            *open.borrow_mut().get_mut(&worker).unwrap() += 1;
            order.push(worker);
        }
        assert_eq!(order, [2, 2, 1, 2, 1, 2, 1]);
        assert_eq!(*open.borrow(), HashMap::from([(1, 5), (2, 4), (3, 5)]));
    }

    #[test]
    fn one_that_can_take_none_is_passed_over_though_it_has_the_fewest() {
        let mut policy = LeastConnections::default();
        policy.join(1);
        policy.join(2);
        let open = |worker| (worker == 2).then_some(9);
        let situation = Situated { waiting: |_| None, open, source: None };
        assert_eq!(policy.choose(&situation), Some(2));
        policy.leave(2);
        assert_eq!(policy.choose(&situation), None);
    }
}

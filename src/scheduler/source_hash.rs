use core::net::IpAddr;

use super::{
    Policy, Situation,
    hash_ring::{HashRing, mix},
    rotation::Rotation,
};
use crate::protocol::WorkerId;

/// `SCHED_SOURCE_HASH`: clients with the same address get the same worker. For state that a worker
/// keeps about its clients: sessions, caches, handshakes of several connections.
///
/// When a worker leaves, only its own clients move; one that joins takes a share from each of the
/// others. A client has the same worker at all listeners that the same workers serve. While the worker
/// of a client can't take connections, the client's second choice gets them, and so on; after 8
/// choices, the worker whose turn it is. Connections without an internet address are distributed in
/// turn.
#[derive(Debug, Default)]
pub struct SourceHash {
    hash_ring: HashRing,
    rotation: Rotation,
}

impl Policy for SourceHash {
    fn join(&mut self, worker: WorkerId) {
        self.hash_ring.join(worker);
        self.rotation.join(worker);
    }

    fn leave(&mut self, worker: WorkerId) -> bool {
        self.hash_ring.leave(worker);
        self.rotation.leave(worker)
    }

    fn restore(&mut self, worker: WorkerId) {
        self.rotation.restore(worker);
    }

    fn choose(&mut self, situation: &dyn Situation) -> Option<WorkerId> {
        let choice = situation.source().and_then(|source| {
            let mut choices = self.hash_ring.choices(client(source));
            choices.find(|&worker| situation.open(worker).is_some())
        });
        choice.or_else(|| self.rotation.take_least(|worker| situation.waiting(worker)))
    }
}

/// A number for the client: the same for an IPv4 address and its IPv6 mapping.
fn client(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => mix(u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            mix((bits >> 64) as u64 ^ mix(bits as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::{super::test_situation::Situated, *};

    fn policy(workers: impl IntoIterator<Item = WorkerId>) -> SourceHash {
        let mut policy = SourceHash::default();
        workers.into_iter().for_each(|worker| policy.join(worker));
        policy
    }

    fn choose(policy: &mut SourceHash, source: IpAddr) -> Option<WorkerId> {
        let free = |_| Some(0);
        policy.choose(&Situated { waiting: free, open: free, source: Some(source) })
    }

    fn neighbors() -> impl Iterator<Item = IpAddr> {
        (0..4096u32).map(|number| Ipv4Addr::from_bits(0x0a00_0000 + number).into())
    }

    #[test]
    fn clients_are_spread_evenly_though_their_addresses_are_alike() {
        let mut policy = policy(1..=8);
        let mut clients: HashMap<WorkerId, usize> = HashMap::new();
        for source in neighbors() {
            *clients.entry(choose(&mut policy, source).unwrap()).or_default() += 1;
        }
        assert_eq!(clients.len(), 8);
        for count in clients.values() {
            assert!((400..=620).contains(count), "{count} of 512");
        }
    }

    #[test]
    fn only_the_clients_of_a_worker_that_leaves_move_and_spread_over_the_others() {
        let mut policy = policy(1..=8);
        let before: Vec<_> =
            neighbors().map(|source| choose(&mut policy, source).unwrap()).collect();
        assert!(policy.leave(3));
        let mut heirs = HashSet::new();
        for (source, before) in neighbors().zip(before) {
            let now = choose(&mut policy, source).unwrap();
            if before == 3 {
                heirs.insert(now);
            } else {
                assert_eq!(now, before);
            }
        }
        assert_eq!(heirs, HashSet::from([1, 2, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn one_that_joins_takes_a_share_from_each_and_no_other_client_moves() {
        let mut policy = policy(1..=4);
        let before: Vec<_> =
            neighbors().map(|source| choose(&mut policy, source).unwrap()).collect();
        policy.join(5);
        let mut taken: HashMap<WorkerId, usize> = HashMap::new();
        for (source, before) in neighbors().zip(before) {
            let now = choose(&mut policy, source).unwrap();
            assert!(now == before || now == 5);
            if now == 5 {
                *taken.entry(before).or_default() += 1;
            }
        }
        assert_eq!(taken.len(), 4);
        for count in taken.values() {
            assert!((100..=310).contains(count), "{count} of 205");
        }
    }

    #[test]
    fn in_whichever_order_workers_join_the_clients_are_the_same() {
        let mut there = policy((1..=20).rev());
        assert!(there.leave(20));
        let mut here = policy(1..=19);
        for source in neighbors() {
            assert_eq!(choose(&mut here, source), choose(&mut there, source));
        }
    }

    #[test]
    fn an_address_is_the_same_client_by_ipv4_and_by_ipv6() {
        let mut policy = policy(1..=50);
        let address = Ipv4Addr::new(192, 0, 2, 7);
        let mapped = address.to_ipv6_mapped();
        assert_eq!(choose(&mut policy, address.into()), choose(&mut policy, mapped.into()));
        let others = (0..100u128).map(|host| Ipv6Addr::from_bits((0x2001_0db8 << 96) | host));
        let served: HashSet<_> =
            others.map(|address| choose(&mut policy, address.into()).unwrap()).collect();
        assert!(served.len() > 25, "IPv6 clients are spread: {}", served.len());
    }

    #[test]
    fn the_second_choice_serves_while_the_first_can_not() {
        let mut policy = policy(1..=8);
        for source in neighbors().take(64) {
            let first = choose(&mut policy, source).unwrap();
            let open = |worker| (worker != first).then_some(0);
            let situation = Situated { waiting: |_| None, open, source: Some(source) };
            let second = policy.choose(&situation).unwrap();
            assert_ne!(second, first);
            assert_eq!(policy.choose(&situation), Some(second));
            assert_eq!(choose(&mut policy, source), Some(first));
        }
    }

    #[test]
    fn what_comes_from_nowhere_takes_turns() {
        let mut policy = policy([1, 2, 3]);
        let free = |_| Some(0);
        let situation = Situated { waiting: free, open: free, source: None };
        let order: Vec<_> = (0..6).filter_map(|_| policy.choose(&situation)).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn a_client_keeps_its_worker_whoever_else_comes_and_goes(
            source in any::<u32>(),
            others in prop::collection::vec((any::<bool>(), 2u32..20), 0..40),
        ) {
            let source = IpAddr::from(Ipv4Addr::from_bits(source));
            let mut policy = policy([1]);
            let mut members = HashSet::from([1]);
            let mut last = choose(&mut policy, source).unwrap();
            for (joins, worker) in others {
                if joins && members.insert(worker) {
                    policy.join(worker);
                } else if !joins && members.remove(&worker) {
                    prop_assert!(policy.leave(worker));
                }
                let now = choose(&mut policy, source).unwrap();
                prop_assert!(members.contains(&now));
                prop_assert!(now == last || now == worker || last == worker);
                last = now;
            }
        }
    }
}

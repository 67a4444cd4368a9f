//! A primary that stands by: clients wait in the backlogs until it takes the place of another, and each is served once,
//! also those that the other primary had accepted.

use super::{super::parking::Left, memory::Client, *};

impl Simulation {
    /// Workers of this one serve nothing until [`take_place`](Self::take_place).
    fn standing_by(scheduling: Scheduling) -> Self {
        let mut simulation = Self::new(scheduling);
        simulation.core.stands_by = true;
        for _ in 0..3 {
            let id = simulation.fork();
            simulation.listen(id, 0);
        }
        simulation
    }

    fn take_place(&mut self) {
        self.core.take_place(self.now);
        for (listener, worker) in self.core.lacking_sockets() {
            self.assign_again(worker, listener);
        }
    }

    /// A client that the other primary has accepted, or that waits there idle.
    fn inherit(&mut self, address: usize, is_idle: bool) {
        let query = Self::query(address);
        let Some(listener) = self.core.listener_for(&query, None) else { return };
        let client = self.clients.connect();
        let connection = Client(client, Rc::clone(&self.clients));
        if is_idle {
            self.clients.put(client, Place::Parked);
            let left = Left { time: None, timeout: QUEUE_TIMEOUT };
            self.core.keep_parked(listener, connection, left, true, self.now);
        } else {
            self.clients.put(client, Place::Engine);
            self.core.inherit_connection(listener, connection, false, self.now);
        }
    }
}

/// What happens while the primary stands by: no worker leaves, because then it would not take the place.
fn steps_before() -> impl Strategy<Value = Step> {
    let address = || 0..ADDRESSES;
    prop_oneof![
        4 => address().prop_map(Step::Listen),
        4 => (1..20usize).prop_map(Step::Serve),
        2 => Just(Step::Read),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Exhaust),
        2 => Just(Step::Recover),
        1 => Just(Step::SeeRoom),
        1 => Just(Step::AnswerUnasked),
        2 => Just(Step::Fork),
        8 => (address(), 1..40usize).prop_map(|(address, count)| Step::Connect(address, count)),
        6 => Just(Step::Accept),
        4 => (1..20u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn no_client_is_accepted_before_the_place_is_taken_and_each_is_served_once_afterwards(
        scheduling in policies(),
        before in prop::collection::vec((0..8usize, steps_before()), 0..80),
        inherited in prop::collection::vec((0..ADDRESSES, any::<bool>()), 0..30),
        after in prop::collection::vec((0..8usize, steps()), 0..80),
    ) {
        let mut simulation = Simulation::standing_by(scheduling);
        simulation.play_each(before, |simulation| {
            for place in [Place::Engine, Place::Queue(0), Place::Served, Place::Closed] {
                assert_eq!(simulation.clients.count(place), 0, "{place:?}");
            }
            let own = simulation.workers.values().map(|it| it.sockets.len());
            assert_eq!(own.sum::<usize>(), 0, "no worker has a socket of its own");
        });
        simulation.take_place();
        simulation.check_reasons();
        for (address, is_idle) in inherited {
            simulation.inherit(address, is_idle);
            simulation.check_places();
        }
        simulation.play(after);
        simulation.settle();
    }
}

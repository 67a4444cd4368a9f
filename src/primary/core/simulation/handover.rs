//! Another primary takes over, or does not: no client is lost, and none is served twice.

use super::{super::driver::SuccessorOrder, *};

impl Simulation {
    /// The successor gets all listeners. Returns their sockets.
    fn offer(&mut self) -> Vec<Rc<MemorySocket>> {
        // So that there is an address for each client.
        let id = self.fork();
        (0..ADDRESSES).for_each(|address| self.listen(id, address));
        let offers = self.core.offer();
        assert_eq!(offers.len(), ADDRESSES);
        offers.into_iter().flat_map(|it| it.sockets).collect()
    }

    /// The successor takes all listeners, and is told to serve.
    fn commit(&mut self) {
        let takes: Vec<_> = self.listeners.into_iter().flatten().map(|it| (it, true)).collect();
        self.core.successor_ready(takes, self.now);
        self.core.stop_accepting();
    }

    /// It serves, and all workers drain.
    fn hand_over(&mut self) {
        self.core.begin_hand_over(self.now);
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.drain(id, true);
        }
    }

    /// All workers end. The successor serves what it has been given, and what waits at the sockets.
    fn end_hand_over(&mut self, sockets: &[Rc<MemorySocket>]) {
        for id in std::mem::take(&mut self.unread) {
            self.core.has_returned_all(id, self.now);
        }
        for departed in self.core.departed.values() {
            departed.lanes.has_shortage.set(false);
        }
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.workers[&id].lanes.has_shortage.set(false);
            self.die(id, false);
        }
        self.core.end_hand_over(self.now);
        self.pass(Duration::from_secs(6));
        assert_eq!(self.core.driver.orders.borrow().last(), Some(&SuccessorOrder::End));
        assert!(self.core.listeners.is_empty(), "nothing is left open");
        for socket in sockets {
            assert!(socket.listens.get() || socket.backlog() == 0);
            for client in socket.backlog.borrow_mut().drain(..) {
                self.clients.serve(client);
            }
        }
        let count = |place| self.clients.count(place);
        let served = count(Place::Served) + count(Place::Closed) + count(Place::Successor);
        assert_eq!(served, self.clients.connected(), "each is in one place");
    }
}

/// What happens while the successor has the sockets. Workers that end listening at their own are another matter.
fn steps_with_successor() -> impl Strategy<Value = Step> {
    steps().prop_filter("no socket is shut down", |step| !matches!(step, Step::Spoil(..)))
}

fn steps_of_leaving_workers() -> impl Strategy<Value = Step> {
    steps_with_successor().prop_filter("no worker is started", |step| !matches!(step, Step::Fork))
}

fn some(
    steps: impl Strategy<Value = Step>,
    most: usize,
) -> impl Strategy<Value = Vec<(usize, Step)>> {
    prop::collection::vec((0..8usize, steps), 0..most)
}

proptest! {
    #[test]
    fn when_another_primary_takes_over_each_client_is_served_once(
        scheduling in policies(),
        before in some(steps(), 60),
        offered in some(steps_with_successor(), 40),
        committing in some(steps_with_successor(), 20),
        after in some(steps_of_leaving_workers(), 60),
    ) {
        let mut simulation = Simulation::new(scheduling);
        simulation.fork();
        simulation.play(before);
        let sockets = simulation.offer();
        simulation.play(offered);
        simulation.commit();
        simulation.play(committing);
        simulation.hand_over();
        simulation.check_places();
        simulation.check_reasons();
        simulation.play(after);
        simulation.end_hand_over(&sockets);
    }

    #[test]
    fn when_another_primary_does_not_take_over_everything_is_as_it_was(
        scheduling in policies(),
        before in some(steps(), 60),
        offered in some(steps_with_successor(), 40),
        committing in some(steps_with_successor(), 20),
        commits in any::<bool>(),
        after in some(steps(), 40),
    ) {
        let mut simulation = Simulation::new(scheduling);
        simulation.fork();
        simulation.play(before);
        simulation.offer();
        simulation.play(offered);
        if commits {
            simulation.commit();
            simulation.play(committing);
        }
        for (listener, worker) in simulation.core.accept_again(simulation.now) {
            simulation.assign_again(worker, listener);
        }
        simulation.left(|_, _| false);
        simulation.play(after);
        simulation.settle();
    }
}

#[test]
fn nothing_is_accepted_between_the_commit_and_the_answer_to_it() {
    for scheduling in [Scheduling::RoundRobin, Scheduling::LeastConnections] {
        let mut simulation = Simulation::new(scheduling);
        let sockets = simulation.offer();
        simulation.commit();
        simulation.step(1, Step::Connect(0, 8));
        let tasks: Vec<_> = simulation.acceptors.keys().copied().collect();
        for &(listener, socket) in &tasks {
            while simulation.run_acceptor(listener, socket) {}
        }
        assert_eq!(simulation.clients.count(Place::Queue(1)), 0);
        simulation.hand_over();
        simulation.end_hand_over(&sockets);
        assert_eq!(simulation.clients.count(Place::Served), 8, "by the successor");
    }
}

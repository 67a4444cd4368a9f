//! What must hold at any time, and in the end.

use super::*;

impl Simulation {
    /// What the engine has is what was accepted and has not been served. Cheap.
    pub(super) fn check_places(&self) {
        let stats = self.counters.stats();
        let pending: usize = stats.listeners.iter().map(|listener| listener.waiting).sum();
        assert_eq!(pending, self.clients.count(Place::Engine), "pending in the engine");
    }

    /// Each worker that is not available has a reason for it that ends.
    pub(super) fn check_reasons(&self) {
        for (&id, player) in &self.workers {
            let availability = self.core.worker(id).unwrap().availability;
            let messages = player.lanes.messages.borrow();
            let is_asked = messages.iter().any(|(it, _)| *it == ToWorker::Probe);
            assert_eq!(
                availability.is_withdrawn(),
                player.is_withdrawn,
                "worker {id} is withdrawn"
            );
            if !player.is_withdrawn {
                assert_eq!(availability.is_paused(), player.is_paused, "worker {id} is paused");
            }
            assert_eq!(availability.is_probed(), is_asked, "worker {id} is probed");
            // What it has not taken is given to others, as soon as there are descriptors for that.
            let is_given_up =
                availability.is_paused() || availability.is_exhausted() || player.is_withdrawn;
            let is_owed = player.lanes.has_shortage.get() || self.core.owed.contains(&id);
            if is_given_up && !is_owed {
                assert_eq!(player.lanes.queued(), 0, "worker {id} keeps connections");
            }
            match availability.standing() {
                Standing::Available => assert!(!player.lanes.is_full.get()),
                Standing::Full => assert!(player.lanes.is_full.get(), "worker {id} is full"),
                Standing::Unavailable => assert!(
                    player.is_paused || availability.is_exhausted() || availability.is_stalled()
                ),
                Standing::Left => assert!(player.is_withdrawn),
            }
        }
    }

    /// Nothing keeps workers from serving any more, so that all clients are served.
    pub(super) fn settle(&mut self) {
        // Those that the last worker of an address has left wait for another.
        let next = self.fork();
        (0..ADDRESSES).for_each(|address| self.listen(next, address));
        for id in std::mem::take(&mut self.unread) {
            self.core.has_returned_all(id, self.now);
        }
        for departed in self.core.departed.values() {
            departed.lanes.has_shortage.set(false);
        }
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for &id in &ids {
            self.workers[&id].lanes.has_shortage.set(false);
            for step in [Step::Unblock, Step::Resume, Step::Recover] {
                self.step(id, step);
            }
        }
        let mut quiet = 0;
        while quiet < 10 {
            let mut goes_on = false;
            for &id in &ids {
                self.read(id);
                while self.serve(id) {
                    goes_on = true;
                }
                goes_on |= self.see_room(id);
            }
            let tasks: Vec<_> = self.acceptors.keys().copied().collect();
            for (listener, socket) in tasks {
                goes_on |= self.run_acceptor(listener, socket);
            }
            self.speak(usize::MAX);
            goes_on |= self.run_parked();
            self.pass(Duration::from_millis(20));
            quiet = if goes_on { 0 } else { quiet + 1 };
        }
        // Those that were parked for too long have seen the end by now.
        self.pass(Duration::from_secs(2));
        self.check_places();
        self.check_reasons();
        let served = self.clients.count(Place::Served) + self.clients.count(Place::Closed);
        assert_eq!(served, self.clients.connected(), "all are served in the end");
        let parked: usize = self.counters.stats().listeners.iter().map(|it| it.parked).sum();
        assert_eq!((parked, self.clients.count(Place::Parked)), (0, 0), "none is parked");
        (0..ADDRESSES).for_each(|address| self.check_turns(address));
    }

    /// No worker is forgotten: among workers that have nothing, turns are exact, and each gets something
    /// where chance decides.
    fn check_turns(&mut self, address: usize) {
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for id in ids {
            while !self.workers[&id].served.is_empty() {
                self.hang(id);
            }
        }
        let Some(listener) = self.listeners[address] else {
            return;
        };
        let members = self.members.iter().filter(|member| member.0 == listener);
        let members: Vec<_> = members.map(|(_, id)| *id).collect();
        let is_exact =
            matches!(self.scheduling, Scheduling::RoundRobin | Scheduling::LeastConnections);
        let mut served = HashSet::new();
        for _ in 0..if is_exact { 1 } else { 200 } {
            for number in 0..members.len() {
                self.connect(address);
                if number % 32 == 31 || number + 1 == members.len() {
                    for (listener, socket) in std::mem::take(&mut self.ready) {
                        while self.run_acceptor(listener, socket) {}
                        if let Some(acceptor) = self.acceptors.get_mut(&(listener, socket)) {
                            acceptor.is_listed = false;
                        }
                    }
                }
            }
            for &id in &members {
                if self.serve(id) {
                    served.insert(id);
                    assert!(!is_exact || !self.serve(id), "worker {id} gets one");
                    while self.serve(id) {}
                }
                self.see_room(id);
                while !self.workers[&id].served.is_empty() {
                    self.hang(id);
                }
            }
            if served.len() == members.len() {
                return;
            }
        }
        let forgotten: Vec<_> = members.iter().filter(|id| !served.contains(id)).collect();
        assert!(forgotten.is_empty(), "workers that get nothing: {forgotten:?}");
    }
}

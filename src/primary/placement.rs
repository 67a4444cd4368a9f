use std::{collections::HashMap, net::IpAddr, os::fd::OwnedFd, time::Instant};

use super::{
    listener::Distribution,
    worker::{Handover, Worker},
};
use crate::{
    protocol::{ListenerId, WorkerId},
    scheduler::Situation,
    sys::socket,
};

/// What there is to know for a policy that places this connection.
struct Present<'a> {
    workers: &'a HashMap<WorkerId, Worker>,
    resting: &'a HashMap<WorkerId, Instant>,
    connection: &'a OwnedFd,
}

impl Present<'_> {
    fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id).filter(|_| !self.resting.contains_key(&id))
    }
}

impl Situation for Present<'_> {
    fn waiting(&self, worker: WorkerId) -> Option<usize> {
        self.worker(worker)?.waiting()
    }

    fn open(&self, worker: WorkerId) -> Option<usize> {
        self.worker(worker)?.open()
    }

    fn source(&self) -> Option<IpAddr> {
        socket::source(self.connection)
    }
}

/// Puts the connection into the lane of the worker that the policy chooses, and says which it is.
pub(super) fn place<'a>(
    distribution: &mut Distribution,
    workers: &'a HashMap<WorkerId, Worker>,
    listener: ListenerId,
    connection: &OwnedFd,
) -> Option<(WorkerId, &'a Worker)> {
    let Distribution { policy, resting, .. } = distribution;
    let present = Present { workers, resting, connection };
    loop {
        let id = policy.choose(&present)?;
        let worker = workers.get(&id)?;
        // A worker without room says so itself when it is asked again.
        if worker.hand_over(listener, connection) == Handover::Done {
            return Some((id, worker));
        }
    }
}

//! The task of one listening socket. All of them wait here; what they change is in `state`.

use std::{
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::Interest,
    sync::Notify,
    task::{spawn_local, yield_now},
    time::{sleep, sleep_until},
};

use super::{
    listener::Seat,
    state::{Shared, Stance},
};
use crate::{
    protocol::{ListenerId, WorkerId},
    sys::{
        failure::{Failure, SHORTAGE_PAUSE},
        listen::{self, Bound},
        watched,
    },
};

/// Connections accepted before other tasks get a turn.
const ACCEPTS_A_TURN: usize = 64;

/// How long accepting pauses after a failure that is no shortage.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts to accept from another socket of the listener.
pub(super) fn add(state: &Shared, listener: ListenerId, bound: Bound) {
    let Some((seat, room, reseated)) = state.borrow().next_seat(listener) else {
        return;
    };
    let socket = Rc::new(bound);
    let (of_task, shared) = (Rc::clone(&socket), Rc::clone(state));
    let task = Task { state: shared, listener, seat, socket: of_task, room, reseated };
    let seat = Seat::new(socket, spawn_local(task.run()));
    state.borrow_mut().add_seat(listener, seat);
}

struct Task {
    state: Shared,
    listener: ListenerId,
    /// Which seat of the listener.
    seat: usize,
    socket: Rc<Bound>,
    room: Rc<Notify>,
    reseated: Rc<Notify>,
}

impl Task {
    async fn run(self) {
        loop {
            let owner = self.owner();
            match owner {
                Some(worker) => self.look_after(worker).await,
                None if self.accept().await => {}
                None => break,
            }
        }
        let Self { state, listener, socket, .. } = self;
        // What waits is closed after the address, if nobody else has that open: who sees it finds the
        // address free.
        drop(socket);
        state.borrow_mut().shut(listener);
    }

    /// The worker that accepts; without one, the engine does.
    fn owner(&self) -> Option<WorkerId> {
        self.state.borrow().acceptor(self.listener, self.seat)
    }

    /// As long as the worker accepts: has the patrol look when something waits for it. A socket that is
    /// watched wakes the engine for each connection, so it is watched only while nothing waits.
    async fn look_after(&self, worker: WorkerId) {
        let watched = match watched::watch(Rc::clone(&self.socket), Interest::READABLE) {
            Ok(watched) => watched,
            Err((_, failure)) => return self.recover(failure).await,
        };
        tokio::select! {
            biased;
            () = self.reseated.notified() => return,
            _ = watched.readable() => {}
        }
        drop(watched);
        let emptied = self.state.borrow_mut().load(worker);
        if let Some(emptied) = emptied {
            tokio::select! {
                () = emptied.notified() => {}
                () = self.reseated.notified() => {}
            }
        }
    }

    /// Accepts as long as there is room in a lane, otherwise connections wait in the kernel's backlog:
    /// until a worker accepts, or, which makes it false, nobody has served the listener for too long.
    async fn accept(&self) -> bool {
        let watched = match watched::watch(Rc::clone(&self.socket), Interest::READABLE) {
            Ok(watched) => watched,
            Err((_, failure)) => {
                self.recover(failure).await;
                return true;
            }
        };
        while self.has_room().await {
            if self.owner().is_some() {
                return true;
            }
            let ready = tokio::select! {
                ready = watched.readable() => ready,
                // Somebody else may accept, or there is nothing to accept for any more.
                () = self.room.notified() => continue,
            };
            let Ok(mut ready) = ready else {
                return true;
            };
            let mut accepted = 0;
            while accepted < ACCEPTS_A_TURN && self.may_accept() {
                match watched::try_ready(&mut ready, |socket| self.accept_one(socket)) {
                    Ok(Some(connection)) => {
                        self.state.borrow_mut().accepted(self.listener, connection);
                    }
                    Ok(None) => {}
                    Err(Failure::WouldBlock) => break,
                    Err(failure) => self.recover(failure).await,
                }
                accepted += 1;
            }
            if accepted == ACCEPTS_A_TURN {
                yield_now().await;
            }
        }
        false
    }

    /// Nothing is left for another connection, or for a watch; or the socket is not ours alone and has
    /// been spoilt. Neither gets better by trying at once.
    async fn recover(&self, failure: Failure) {
        let (fault, pause) = match failure {
            Failure::Shortage(fault) => (fault, SHORTAGE_PAUSE),
            Failure::Fault(fault) => (fault, ACCEPT_PAUSE),
            // A listening socket has no peer.
            Failure::WouldBlock | Failure::Gone => return sleep(ACCEPT_PAUSE).await,
        };
        let now = Instant::now();
        self.state.borrow_mut().unaccepted(self.listener, fault.to_io(), now);
        sleep(pause).await;
    }

    /// Accepts by the engine's last descriptor where there is no other; it is free again as soon as the
    /// connection is handed over.
    fn accept_one(&self, socket: &Bound) -> Result<Option<OwnedFd>, Failure> {
        let shortage = match listen::accept(socket) {
            Err(Failure::Shortage(fault)) => fault,
            accepted => return accepted,
        };
        let mut state = self.state.borrow_mut();
        let accepted = state.lend(|| listen::accept(socket));
        if let Some(Ok(Some(_))) = &accepted {
            state.unaccepted(self.listener, shortage.to_io(), Instant::now());
        }
        accepted.unwrap_or(Err(Failure::Shortage(shortage)))
    }

    fn may_accept(&self) -> bool {
        matches!(self.state.borrow_mut().stance(self.listener), Stance::Accept)
    }

    /// Waits until there is room, or a worker accepts. Says false when nobody has served the listener
    /// for too long.
    async fn has_room(&self) -> bool {
        loop {
            let stance = self.state.borrow_mut().stance(self.listener);
            match stance {
                Stance::Accept => return true,
                _ if self.owner().is_some() => return true,
                Stance::Wait => self.room.notified().await,
                Stance::Hold(until) if until <= Instant::now() => return false,
                Stance::Hold(until) => tokio::select! {
                    () = self.room.notified() => {}
                    () = sleep_until(until.into()) => {}
                },
            }
        }
    }
}

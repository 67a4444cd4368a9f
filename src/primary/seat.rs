//! The task of one listening socket. All of them wait here; what they change is in `state`.

use std::{
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    task::{spawn_local, yield_now},
    time::sleep,
};

use super::{
    driver,
    listener::{Seat, SeatId},
    listening_socket::ListeningSocket,
    state::Shared,
};
use crate::{
    protocol::{ListenerId, WorkerId},
    sys::{
        failure::{Failure, SHORTAGE_PAUSE},
        listen::Bound,
    },
};

/// Connections accepted before other tasks get a turn.
const ACCEPTS_A_TURN: usize = 64;

/// How long accepting pauses after a failure that is no shortage.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a worker is without a socket of its own when it has lost one.
const REPLACE_PAUSE: Duration = Duration::from_millis(10);

/// Starts to accept from another socket of the listener.
pub(super) fn add(state: &Shared, listener: ListenerId, bound: Bound) {
    let next = state.borrow_mut().next_seat(listener);
    let Some((id, room, reseated)) = next else {
        return;
    };
    let socket = Rc::new(ListeningSocket::new(bound, state.borrow().guard()));
    let (of_task, shared) = (Rc::clone(&socket), Rc::clone(state));
    let task = Task { state: shared, listener, seat: id, socket: of_task, room, reseated };
    let seat = Seat::new(id, socket, spawn_local(task.run()));
    state.borrow_mut().add_seat(listener, seat);
}

/// Gives a worker a socket of its own in place of one that it has lost, as soon as that is possible.
pub(super) fn replace(state: &Shared, listener: ListenerId, worker: WorkerId) {
    let state = Rc::clone(state);
    spawn_local(async move {
        // A worker that ends each of its sockets keeps nobody busy.
        let mut pause = REPLACE_PAUSE;
        loop {
            sleep(pause).await;
            if !state.borrow().lacks_seat(worker, listener) {
                return;
            }
            let Err(error) = driver::seat_again(&state, listener, worker) else {
                return;
            };
            state.borrow_mut().unaccepted(listener, error, Instant::now());
            pause = ACCEPT_PAUSE;
        }
    });
}

struct Task {
    state: Shared,
    listener: ListenerId,
    /// Which seat of the listener.
    seat: SeatId,
    socket: Rc<ListeningSocket>,
    room: Rc<Notify>,
    reseated: Rc<Notify>,
}

impl Task {
    /// Until the socket is closed, which ends the task.
    async fn run(self) {
        while self.socket.is_open() {
            let owner = self.owner();
            match owner {
                Some(worker) => self.look_after(worker).await,
                None => self.accept().await,
            }
        }
    }

    /// The worker that accepts; without one, the engine does.
    fn owner(&self) -> Option<WorkerId> {
        self.state.borrow().acceptor(self.listener, self.seat)
    }

    /// As long as the worker accepts: has the patrol look when something waits for it. A socket that is
    /// watched wakes the engine for each connection, so it is watched only while nothing waits.
    async fn look_after(&self, worker: WorkerId) {
        if let Err(failure) = self.socket.watch() {
            return self.recover(failure).await;
        }
        let is_reseated = tokio::select! {
            biased;
            () = self.reseated.notified() => true,
            () = self.socket.readable() => false,
        };
        self.socket.unwatch();
        if is_reseated || self.is_spoilt() {
            return;
        }
        let emptied = self.state.borrow_mut().load(worker);
        if let Some(emptied) = emptied {
            tokio::select! {
                () = emptied.notified() => {}
                () = self.reseated.notified() => {}
            }
        }
    }

    /// Accepts as long as there is room in a lane, otherwise connections wait in the kernel's backlog:
    /// until a worker accepts.
    async fn accept(&self) {
        if let Err(failure) = self.socket.watch() {
            return self.recover(failure).await;
        }
        loop {
            self.has_room().await;
            if self.owner().is_some() || !self.socket.is_open() {
                break;
            }
            tokio::select! {
                () = self.socket.readable() => {}
                // Somebody else may accept, or there is nothing to accept for any more.
                () = self.room.notified() => continue,
            }
            let mut accepted = 0;
            while accepted < ACCEPTS_A_TURN && self.may_accept() {
                match self.accept_one() {
                    Ok(Some(connection)) => {
                        self.state.borrow_mut().accepted(self.listener, connection);
                    }
                    Ok(None) => {}
                    Err(Failure::WouldBlock) => break,
                    Err(_) if self.is_spoilt() => break,
                    Err(failure) => self.recover(failure).await,
                }
                accepted += 1;
            }
            if accepted == ACCEPTS_A_TURN {
                yield_now().await;
            }
        }
        self.socket.unwatch();
    }

    /// Closes a socket that does not listen any more, and removes the seat: a worker that has it, or has
    /// had it, has ended that. Its owner gets another.
    fn is_spoilt(&self) -> bool {
        let is_spoilt = !self.socket.is_listening();
        if is_spoilt {
            let owner = self.state.borrow_mut().remove_seat(self.listener, self.seat);
            self.socket.close();
            if let Some(worker) = owner {
                replace(&self.state, self.listener, worker);
            }
        }
        is_spoilt
    }

    /// Waits until it is worth another try after a failure: nothing is left for another connection or for a
    /// watch, or the call fails otherwise. The primary hears of it.
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
    fn accept_one(&self) -> Result<Option<OwnedFd>, Failure> {
        let shortage = match self.socket.accept_watched() {
            Err(Failure::Shortage(fault)) => fault,
            accepted => return accepted,
        };
        let mut state = self.state.borrow_mut();
        let accepted = state.lend(|| self.socket.accept_watched());
        if let Some(Ok(Some(_))) = &accepted {
            state.unaccepted(self.listener, shortage.to_io(), Instant::now());
        }
        accepted.unwrap_or(Err(Failure::Shortage(shortage)))
    }

    fn may_accept(&self) -> bool {
        self.state.borrow().may_accept(self.listener)
    }

    /// Waits until there is room, or a worker accepts.
    async fn has_room(&self) {
        while !self.may_accept() && self.owner().is_none() {
            self.room.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, sync::Arc};

    use tokio::task::LocalSet;

    use super::*;
    use crate::{
        primary::{
            engine::{Scheduling, Settings},
            listener::{Listener, Socket},
            state::State,
        },
        protocol::control::{Query, Target},
        sys::{
            listen::{allow_siblings, bind_query, start},
            reserve::Reserve,
        },
    };

    #[tokio::test]
    #[cfg_attr(target_os = "macos", ignore = "there are no seats")]
    async fn a_seat_that_listens_no_more_is_removed() {
        let settings = Settings { scheduling: Scheduling::ReusePort, story: false };
        let state = State::new(settings, Arc::new(drop), Reserve::default(), Arc::default());
        let state = Rc::new(RefCell::new(state));
        let target = Target::Tcp { address: Some("127.0.0.1".into()), port: 0 };
        let query = Query::new(target.clone());
        let distribution = state.borrow().new_distribution(&target).unwrap();
        let id = state.borrow_mut().next_listener();
        let socket = Socket::Distributed(Box::new(distribution));
        let mut listener = Listener::new(query.clone(), None, socket);
        listener.join(1, None);
        state.borrow_mut().insert(id, listener);
        let first = bind_query(&query, false).unwrap();
        start(&first, &query).unwrap();
        allow_siblings(&first).unwrap();
        let count = || state.borrow_mut().distribution(id).unwrap().seats.len();
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                add(&state, id, first);
                for _ in 0..3 {
                    let sibling = state.borrow_mut().distribution(id).unwrap().seats[0]
                        .socket
                        .sibling(&query);
                    add(&state, id, sibling.unwrap());
                }
                assert_eq!(count(), 4);
                for seat in &state.borrow_mut().distribution(id).unwrap().seats[..3] {
                    seat.socket.stop();
                }
                for _ in 0..10_000 {
                    if count() > 1 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                assert_eq!(count(), 1);
            })
            .await;
    }
}

//! The task at one listening socket: accepts from it, or looks after the worker that does.

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
    super::core::{driver::Socket, sockets::SocketId},
    context::Context,
    listening_socket::{ListeningSocket, UsedBy},
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

/// How long accepting pauses after a failure that is not a shortage.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts to accept from another socket of the listener.
pub(super) fn add(context: &Rc<Context>, listener: ListenerId, bound: Bound) {
    let next = context.decide(|core| {
        let id = core.next_socket(listener)?;
        let acceptors = &core.distribution(listener)?.acceptors;
        Some((id, Rc::clone(&acceptors.room), Rc::clone(&acceptors.changed)))
    });
    let Some((id, room, changed)) = next else {
        return;
    };
    let socket = ListeningSocket::new(bound, UsedBy::One, Rc::clone(&context.guard));
    let socket = Rc::new(socket);
    context.keep(&socket);
    let task = Acceptor {
        context: Rc::clone(context),
        listener,
        id,
        socket: Rc::clone(&socket),
        room,
        changed,
    };
    socket.set_task(spawn_local(task.run()).abort_handle());
    context.decide(|core| {
        if let Some(distribution) = core.distribution(listener) {
            distribution.acceptors.add(&socket);
        }
        core.add_socket(listener, id, socket);
    });
}

struct Acceptor {
    context: Rc<Context>,
    listener: ListenerId,
    /// Which socket of the listener.
    id: SocketId,
    socket: Rc<ListeningSocket>,
    room: Rc<Notify>,
    changed: Rc<Notify>,
}

impl Acceptor {
    /// Until the socket is closed, which ends the task.
    async fn run(self) {
        while self.socket.is_open() {
            match self.owner() {
                Some(worker) => self.look_after(worker).await,
                None => self.accept().await,
            }
        }
    }

    /// The worker that accepts; without one, the engine does.
    fn owner(&self) -> Option<WorkerId> {
        self.context.ask(|core| core.acceptor(self.listener, self.id))
    }

    /// As long as the worker accepts: has the stall detector look when something waits for it. A socket that
    /// is watched wakes the engine for each connection, so it is watched only while nothing waits.
    async fn look_after(&self, worker: WorkerId) {
        if let Err(failure) = self.socket.watch() {
            return self.recover(failure).await;
        }
        let has_changed = tokio::select! {
            biased;
            () = self.changed.notified() => true,
            () = self.socket.readable() => false,
        };
        self.socket.unwatch();
        if has_changed || self.close_if_spoilt() {
            return;
        }
        // Not the lanes themselves, which close with the worker.
        let emptied = self.context.decide(|core| {
            core.begin_to_wait(worker, Instant::now());
            core.worker(worker).map(|worker| Rc::clone(&worker.lanes.emptied))
        });
        if let Some(emptied) = emptied {
            tokio::select! {
                () = emptied.notified() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Accepts as long as there is room in a queue, otherwise connections wait in the kernel's backlog:
    /// until a worker accepts.
    async fn accept(&self) {
        // A socket that is watched wakes the engine for each connection, which another primary accepts.
        while self.context.ask(|core| core.stands_by()) {
            self.room.notified().await;
        }
        if let Err(failure) = self.socket.watch() {
            return self.recover(failure).await;
        }
        loop {
            self.wait_for_room().await;
            if self.owner().is_some() || !self.socket.is_open() {
                break;
            }
            tokio::select! {
                () = self.socket.readable() => {}
                // A worker may accept, or there is nothing to accept for any more.
                () = self.room.notified() => continue,
            }
            let mut accepted = 0;
            while accepted < ACCEPTS_A_TURN && self.may_accept() {
                match self.accept_one() {
                    Ok(Some(connection)) => {
                        let now = Instant::now();
                        self.context.note_accepted(now);
                        self.context.decide(|core| core.accepted(self.listener, connection, now));
                    }
                    Ok(None) => {}
                    Err(Failure::WouldBlock) => break,
                    Err(_) if self.close_if_spoilt() => break,
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

    /// Closes a socket that does not listen any more, because a worker that has it, or has had it, has
    /// ended that. Says whether it did. The worker that it was assigned to gets another.
    fn close_if_spoilt(&self) -> bool {
        let is_spoilt = !self.socket.is_listening();
        if is_spoilt {
            let owner = self.context.decide(|core| core.remove_socket(self.listener, self.id));
            self.socket.close_descriptor();
            if let Some(worker) = owner {
                self.context.replace_socket(self.listener, worker);
            }
        }
        is_spoilt
    }

    /// Waits until it is worth another try after a failure: nothing is left for another connection or for a
    /// watch, or the call fails otherwise. The primary is warned.
    async fn recover(&self, failure: Failure) {
        let (fault, pause) = match failure {
            Failure::Shortage(fault) => (fault, SHORTAGE_PAUSE),
            Failure::Fault(fault) => (fault, ACCEPT_PAUSE),
            // A listening socket has no peer.
            Failure::WouldBlock | Failure::Gone => return sleep(ACCEPT_PAUSE).await,
        };
        self.context.warn(self.listener, fault.to_io());
        sleep(pause).await;
    }

    /// Accepts by the engine's last descriptor where there is no other; it is free again as soon as the
    /// connection is handed over.
    fn accept_one(&self) -> Result<Option<OwnedFd>, Failure> {
        let shortage = match self.socket.accept_watched() {
            Err(Failure::Shortage(fault)) => fault,
            accepted => return accepted,
        };
        let lent = self.context.reserve.borrow_mut().lend(|| self.socket.accept_watched());
        if let Some(Ok(Some(_))) = &lent {
            self.context.warn(self.listener, shortage.to_io());
        }
        lent.unwrap_or(Err(Failure::Shortage(shortage)))
    }

    fn may_accept(&self) -> bool {
        self.context.ask(|core| core.may_accept(self.listener))
    }

    /// Waits until there is room, or a worker accepts.
    async fn wait_for_room(&self) {
        while !self.may_accept() && self.owner().is_none() {
            self.room.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{sync::mpsc::unbounded_channel, task::LocalSet};

    use super::*;
    use crate::{
        primary::{
            core::listener::{Delivery, Listener},
            messages::Settings,
            ticket_keys::PERIOD,
        },
        protocol::control::{Query, Target},
        scheduler::Scheduling,
        sys::{
            listen::{allow_siblings, bind_query, start},
            reserve::Reserve,
        },
    };

    #[tokio::test]
    #[cfg_attr(target_os = "macos", ignore = "workers have no sockets of their own")]
    async fn a_socket_that_listens_no_more_is_removed() {
        let settings = Settings {
            scheduling: Scheduling::ReusePort,
            debug_log: false,
            ticket_key_period: PERIOD,
        };
        let (emit, counters) = (Arc::new(drop), Arc::default());
        let (lost_sockets, _lost) = unbounded_channel();
        let context = Context::new(
            settings,
            emit,
            Reserve::default(),
            counters,
            Default::default(),
            lost_sockets,
        );
        let context = Rc::new(context);
        let target = Target::Tcp { address: Some("127.0.0.1".into()), port: 0 };
        let query = Query::new(target.clone());
        let distribution = context.ask(|core| core.new_distribution(&target, 1)).unwrap();
        let delivery = Delivery::Distributed(Box::new(distribution));
        let mut listener = Listener::new(query.clone(), None, delivery);
        listener.join(1, false, None);
        let id = context.decide(|core| {
            let id = core.next_listener();
            core.insert_listener(id, listener);
            id
        });
        let first = bind_query(&query, false).unwrap();
        start(&first, &query).unwrap();
        allow_siblings(&first).unwrap();
        let sockets = || -> Vec<_> {
            context.ask(|core| {
                let sockets = &core.listener(id).unwrap().distribution().unwrap().sockets;
                sockets.iter().map(|it| Rc::clone(&it.socket)).collect()
            })
        };
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                add(&context, id, first);
                for _ in 0..3 {
                    add(&context, id, sockets()[0].sibling(&query).unwrap());
                }
                assert_eq!(sockets().len(), 4);
                sockets()[..3].iter().for_each(|socket| socket.stop());
                for _ in 0..10_000 {
                    if sockets().len() > 1 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                assert_eq!(sockets().len(), 1);
            })
            .await;
    }
}

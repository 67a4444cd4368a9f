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
    super::core::{driver::Socket, listener::Listener, sockets::SocketId},
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
    /// until a worker accepts. Where there are several sockets, the task at one that has taken all the room lets the
    /// others run before it looks for more: otherwise it would get all of it again, and they nothing.
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
            let has_filled = || accepted > 0 && self.has_siblings() && !self.may_accept();
            if accepted == ACCEPTS_A_TURN || has_filled() {
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

    /// Whether the listener has other sockets.
    fn has_siblings(&self) -> bool {
        self.context.ask(|core| {
            let distribution = core.listener(self.listener).and_then(Listener::distribution);
            distribution.is_some_and(|it| it.sockets.len() > 1)
        })
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
    use std::{net::TcpStream, sync::Arc};

    use tokio::{sync::mpsc::unbounded_channel, task::LocalSet};

    use super::*;
    use crate::{
        primary::{
            core::{driver::Acceptors, listener::Delivery},
            messages::Settings,
            ticket_keys::PERIOD,
        },
        protocol::control::{BoundAddress, Query, Target},
        scheduler::Scheduling,
        sys::listen::{allow_siblings, bind_query, bound_address, start},
    };

    /// A listener of one worker, without sockets.
    fn listener(scheduling: Scheduling) -> (Rc<Context>, ListenerId, Query) {
        let settings = Settings { scheduling, debug_log: false, ticket_key_period: PERIOD };
        let (emit, counters) = (Arc::new(drop), Arc::default());
        let (lost_sockets, _) = unbounded_channel();
        let (reserve, board) = Default::default();
        let context = Context::new(settings, emit, reserve, counters, board, lost_sockets);
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
        (Rc::new(context), id, query)
    }

    /// The first socket of the listener.
    fn first_socket(query: &Query) -> Bound {
        let first = bind_query(query, false).unwrap();
        start(&first, query).unwrap();
        allow_siblings(&first).unwrap();
        first
    }

    fn sockets(context: &Context, id: ListenerId) -> Vec<Rc<ListeningSocket>> {
        context.ask(|core| {
            let sockets = &core.listener(id).unwrap().distribution().unwrap().sockets;
            sockets.iter().map(|it| Rc::clone(&it.socket)).collect()
        })
    }

    fn has_pending(context: &Context, id: ListenerId) -> bool {
        context.ask(|core| core.listener(id).unwrap().distribution().unwrap().has_pending())
    }

    /// Waits for what tasks do.
    async fn until(is_true: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if !is_true() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(is_true());
    }

    #[tokio::test]
    #[cfg_attr(target_os = "macos", ignore = "workers have no sockets of their own")]
    async fn a_socket_that_listens_no_more_is_removed() {
        let (context, id, query) = listener(Scheduling::ReusePort);
        let run = async {
            add(&context, id, first_socket(&query));
            for _ in 0..3 {
                add(&context, id, sockets(&context, id)[0].sibling(&query).unwrap());
            }
            assert_eq!(sockets(&context, id).len(), 4);
            sockets(&context, id)[..3].iter().for_each(|socket| socket.stop());
            until(|| sockets(&context, id).len() == 1).await;
        };
        LocalSet::new().run_until(run).await;
    }

    #[tokio::test]
    #[cfg_attr(target_os = "macos", ignore = "one of several sockets gets all connections")]
    async fn sockets_take_turns_where_there_is_room_for_one_connection_at_a_time() {
        const TURNS: usize = 8;
        let (context, id, query) = listener(Scheduling::RoundRobin);
        let run = async {
            let first = first_socket(&query);
            let BoundAddress { port, .. } = bound_address(&first).unwrap().unwrap();
            add(&context, id, first);
            for _ in 0..2 {
                add(&context, id, sockets(&context, id)[0].sibling(&query).unwrap());
            }
            let sockets = sockets(&context, id);
            let backlogs = || sockets.iter().map(|it| it.backlog()).collect::<Vec<_>>();
            let mut clients = Vec::new();
            while backlogs().into_iter().any(|backlog| backlog < 2 * TURNS) {
                clients.push(TcpStream::connect(("127.0.0.1", port)).unwrap());
                assert!(clients.len() < 500, "the kernel spreads them: {:?}", backlogs());
            }
            let before = backlogs();
            for _ in 0..3 * TURNS {
                until(|| has_pending(&context, id)).await;
                context.decide(|core| {
                    let distribution = core.distribution(id).unwrap();
                    drop(distribution.take_pending());
                    distribution.acceptors.notify_room();
                });
            }
            let taken = before.iter().zip(backlogs()).map(|(before, now)| before - now);
            let taken: Vec<_> = taken.collect();
            assert!(taken.iter().all(|taken| taken.abs_diff(TURNS) <= 1), "{taken:?}");
        };
        LocalSet::new().run_until(run).await;
    }
}

use std::{
    cell::RefCell,
    fmt,
    net::IpAddr,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::Instant,
};

use tokio::sync::Notify;

use super::{
    super::{
        core::{
            driver::{Acceptors, Connection, Driver, Forwarded, Received, SuccessorOrder},
            listener::Listener,
            parked::ParkedId,
            stats::Total,
            supervise::{
                operation::RecipeId,
                report::{Report, SlotNumber},
                status::Status,
            },
        },
        inherit::{Inherited, Unwanted},
        messages::{Emit, Event},
        operator::board::SharedBoard,
    },
    accept_guard::AcceptGuard,
    debug_log::DebugLog,
    fd_store::FdStore,
    lanes::WorkerLanes,
    listening_socket::ListeningSocket,
    parked_connections::ParkedConnections,
    successor::Succession,
    supervision::Supervision,
};
use crate::{
    protocol::{ListenerId, WorkerId, control::Target, upgrade::ToSuccessor},
    sys::{
        listen::{self, Endpoint, Origin},
        reserve::Reserve,
        socket,
    },
};

/// What the core does, done by system calls.
pub(crate) struct EngineDriver {
    log: DebugLog,
    /// For a connection that is accepted, or taken back, when there are no other descriptors.
    pub(super) reserve: Rc<RefCell<Reserve>>,
    /// Tells that a listening socket is closed, or that a worker has closed its descriptor of one.
    pub(super) released: Rc<Notify>,
    /// Where events go.
    emit: Emit,
    /// What starts supervised workers, if there is supervision.
    pub(super) supervision: Rc<RefCell<Option<Supervision>>>,
    /// What is about to take over from this primary.
    pub(super) succession: Rc<RefCell<Succession>>,
    /// What operators see.
    board: SharedBoard,
    /// Sockets that come from elsewhere.
    pub(super) inherited: Rc<RefCell<Inherited>>,
    /// Where sockets are stored, if there is such a place.
    pub(super) store: Rc<RefCell<Option<Rc<FdStore>>>>,
    /// Tells that the workers of a primary that stands by are well, or all workers are ready for the first time, or have
    /// ended.
    pub(super) prepared: Rc<Notify>,
    /// Keeps sockets that workers have as well from making this thread wait.
    pub(super) guard: Rc<AcceptGuard>,
}

impl EngineDriver {
    pub(super) fn new(log: DebugLog, emit: Emit, reserve: Reserve, board: SharedBoard) -> Self {
        let reserve = Rc::new(RefCell::new(reserve));
        let (released, supervision, succession, guard) = Default::default();
        let (inherited, store, prepared) = Default::default();
        Self {
            log,
            reserve,
            released,
            emit,
            supervision,
            succession,
            board,
            inherited,
            store,
            prepared,
            guard,
        }
    }

    /// Tells which addresses of the service manager no worker has asked for, now that all workers are ready.
    fn tell_unwanted(&self) {
        let Unwanted { activated, stored } = self.inherited.borrow_mut().end_wait();
        if let Some(store) = &*self.store.borrow() {
            stored.into_iter().for_each(|name| store.remove(name));
        }
        if !activated.is_empty() {
            self.log.write(format_args!("no worker listens on {}", activated.join(", ")));
            (self.emit)(Event::Unwanted(activated));
        }
    }
}

impl Driver for EngineDriver {
    type Connection = OwnedFd;
    type Lanes = Rc<WorkerLanes>;
    type Socket = Rc<ListeningSocket>;
    type Acceptors = AcceptorTasks;

    fn debug_log(&self, line: fmt::Arguments<'_>) {
        self.log.write(line);
    }

    fn forward(&mut self, listener: ListenerId, connection: OwnedFd, how: Forwarded) {
        if let Some(successor) = self.succession.borrow().successor() {
            successor.forward(listener, connection, how);
        }
    }

    fn successor(&self, order: SuccessorOrder) {
        match order {
            SuccessorOrder::Start => {
                let recipe = self.succession.borrow().recipe();
                if let Some((recipe, supervision)) = recipe.zip(self.supervision.borrow().as_ref())
                {
                    supervision.start_primary(recipe);
                }
            }
            SuccessorOrder::Abandon => self.succession.borrow_mut().abandon(),
            SuccessorOrder::Commit | SuccessorOrder::Stop | SuccessorOrder::End => {
                let succession = self.succession.borrow();
                let Some(successor) = succession.successor() else { return };
                match order {
                    SuccessorOrder::Commit => successor.send(&ToSuccessor::Commit, None),
                    SuccessorOrder::Stop => successor.stop(),
                    _ => successor.end(),
                }
            }
        }
    }

    fn close(&mut self, connection: OwnedFd) {
        drop(connection);
        self.reserve.borrow_mut().refill();
    }

    fn socket_released(&self) {
        self.released.notify_waiters();
    }

    fn start_worker(&self, id: WorkerId, slot: SlotNumber, recipe: RecipeId) {
        self.log.write(format_args!("worker {id} is to be started"));
        if let Some(supervision) = &*self.supervision.borrow() {
            supervision.start_worker(id, slot, recipe);
        }
    }

    fn forget_recipe(&self, recipe: RecipeId) {
        if let Some(supervision) = &mut *self.supervision.borrow_mut() {
            supervision.forget_recipe(recipe);
        }
    }

    fn prepared(&self) {
        self.prepared.notify_one();
    }

    fn report(&self, report: Report) {
        self.log.write(format_args!("{report:?}"));
        if report == Report::Ready {
            self.tell_unwanted();
        }
        if matches!(report, Report::Ready | Report::Stopped) {
            self.prepared.notify_one();
        }
        if let Some(supervision) = &mut *self.supervision.borrow_mut() {
            if report == Report::Stopped {
                supervision.end();
            }
            supervision.report(report, &self.emit, &self.board);
        }
    }

    fn publish(&self, status: Status) {
        if let Some(supervision) = &*self.supervision.borrow() {
            supervision.observe(&status);
        }
        self.board.publish(status, Instant::now());
    }

    fn sample(&self, total: Total, now: Instant) {
        self.board.sample(total, now);
    }

    fn new_acceptors(&self) -> AcceptorTasks {
        AcceptorTasks::default()
    }
}

impl Connection for OwnedFd {
    fn source(&self) -> Option<IpAddr> {
        socket::source(self)
    }

    fn received(&self) -> Received {
        match socket::unread(self) {
            socket::Unread::Nothing => Received::Nothing,
            socket::Unread::Bytes => Received::Bytes,
            socket::Unread::End => Received::End,
        }
    }

    fn end(&self) {
        socket::end(self);
    }
}

/// What the tasks at the sockets of one listener wait for, and what tells its connections from others.
#[derive(Default)]
pub(crate) struct AcceptorTasks {
    /// Has the tasks that accept look again at what is pending, at the members and at the owner.
    pub(super) room: Rc<Notify>,
    /// Has all other tasks look again at the owner.
    pub(super) changed: Rc<Notify>,
    /// The connections that wait for their clients.
    pub(super) parked: Rc<ParkedConnections>,
    /// Those of the address, and of the addresses before it while connections waited for the next worker.
    endpoints: Vec<Endpoint>,
}

impl AcceptorTasks {
    /// Connections that are accepted from this socket belong to the listener.
    pub(super) fn add(&mut self, socket: &ListeningSocket) {
        if let Some(endpoint) = socket.endpoint().filter(|it| !self.endpoints.contains(it)) {
            self.endpoints.push(endpoint);
        }
    }
}

impl Acceptors for AcceptorTasks {
    type Connection = OwnedFd;

    fn notify_room(&self) {
        self.room.notify_waiters();
    }

    fn notify_change(&self) {
        self.changed.notify_waiters();
    }

    fn watch_parked(&self, id: ParkedId, connection: &OwnedFd) -> bool {
        self.parked.add(id, connection)
    }

    fn unwatch_parked(&self, _id: ParkedId, connection: &OwnedFd) {
        self.parked.remove(connection);
    }

    fn inherit(&mut self, other: Self) {
        self.endpoints.extend(other.endpoints);
    }
}

/// What this descriptor is to a listener, which a worker says is one of its connections.
pub(super) fn origin(listener: &Listener<EngineDriver>, connection: impl AsFd) -> Origin {
    let has_its_address = !matches!(listener.query.target, Target::Descriptor { .. });
    // Where workers accept from a shared socket, they have nothing to return.
    let endpoints = listener.distribution().map_or(&[][..], |it| &it.acceptors.endpoints);
    let mut origins = endpoints.iter().map(|it| listen::origin(&connection, it, has_its_address));
    origins.find(|origin| *origin != Origin::Elsewhere).unwrap_or(Origin::Elsewhere)
}

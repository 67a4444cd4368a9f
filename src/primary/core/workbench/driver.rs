//! A driver for measurements, whose workers serve what they get at once.

use core::{
    cell::{Cell, RefCell},
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::super::{
    driver::{
        Acceptors, Connection, Driver, EndSignal, Forwarded, HandOver, Lanes, Received, Socket,
        SuccessorOrder, TakenBack, Unread,
    },
    parked::ParkedId,
    stats::{AcceptCounter, Total, WorkerView},
    supervise::{
        operation::RecipeId,
        report::{Outcome, Report, SlotNumber},
        status::Status,
    },
    suspicion::Load,
};
use crate::protocol::{
    ListenerId, WorkerId,
    control::{DrainOrder, Query, ToWorker},
};

/// What the core has ordered.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) starts: RefCell<Vec<WorkerId>>,
    pub(super) drains: RefCell<Vec<WorkerId>>,
    pub(super) probes: RefCell<Vec<WorkerId>>,
    pub(super) has_reloaded: Cell<bool>,
}

pub(super) struct Still(pub(super) Rc<Orders>);

impl Driver for Still {
    type Connection = Client;
    type Lanes = Lane;
    type Socket = NoSocket;
    type Acceptors = NoAcceptors;

    fn debug_log(&self, _line: fmt::Arguments<'_>) {}
    fn forward(&mut self, _listener: ListenerId, _connection: Client, _how: Forwarded) {}
    fn successor(&self, _order: SuccessorOrder) {}
    fn close(&mut self, _connection: Client) {}
    fn socket_released(&self) {}

    fn start_worker(&self, id: WorkerId, _slot: SlotNumber, _recipe: RecipeId) {
        self.0.starts.borrow_mut().push(id);
    }

    fn forget_recipe(&self, _recipe: RecipeId) {}
    fn prepared(&self) {}

    fn report(&self, report: Report) {
        if matches!(report, Report::Answer(_, Outcome::Reloaded(..))) {
            self.0.has_reloaded.set(true);
        }
    }

    fn publish(&self, _status: Status) {}
    fn sample(&self, _total: Total, _now: Instant) {}

    fn new_acceptors(&self) -> NoAcceptors {
        NoAcceptors
    }
}

/// A connection. Each comes from an address of its own, and has sent something.
pub(super) struct Client(pub(super) u32);

impl Connection for Client {
    fn source(&self) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(self.0).into())
    }

    fn received(&self) -> Received {
        Received::Bytes
    }

    fn end(&self) {}
}

/// Nothing waits at listeners.
pub(super) struct NoAcceptors;

impl Acceptors for NoAcceptors {
    type Connection = Client;

    fn notify_room(&self) {}
    fn notify_change(&self) {}

    fn watch_parked(&self, _id: ParkedId, _connection: &Client) -> bool {
        true
    }

    fn unwatch_parked(&self, _id: ParkedId, _connection: &Client) {}
    fn inherit(&mut self, _other: Self) {}
}

#[derive(Clone)]
pub(super) struct NoSocket;

impl Socket for NoSocket {
    type Connection = Client;
    type Duplicate = Self;

    fn duplicate(&self) -> Result<Self, i32> {
        Ok(Self)
    }

    fn is_listening(&self) -> bool {
        true
    }

    fn is(&self, _fd: i32) -> bool {
        false
    }

    fn backlog(&self) -> usize {
        0
    }

    fn accept_backlog(&self, _query: &Query, _take: &mut dyn FnMut(Client)) -> bool {
        true
    }

    fn disown(&self) {}
    fn close(&self, _is_last: bool) {}
}

/// How many connections a worker has had, all of which it has served.
#[derive(Default)]
pub(super) struct Served(AtomicU64);

impl WorkerView for Served {
    fn accepted(&self) -> u64 {
        0
    }

    fn waiting(&self) -> usize {
        0
    }

    fn open(&self) -> usize {
        0
    }
}

impl AcceptCounter for Served {
    fn accepted(&self) -> u64 {
        0
    }
}

/// The lanes of a worker.
pub(super) struct Lane {
    pub(super) id: WorkerId,
    pub(super) orders: Rc<Orders>,
    pub(super) served: Arc<Served>,
    /// Whether its event loop turns; otherwise it sleeps.
    pub(super) turns: Rc<Cell<bool>>,
    pub(super) beat: Cell<u64>,
}

impl Lanes for Lane {
    type Connection = Client;
    type Socket = NoSocket;

    fn hand_over(&self, _listener: ListenerId, _connection: &Client) -> HandOver {
        self.served.0.fetch_add(1, Ordering::Relaxed);
        HandOver::Done
    }

    fn take_back(&self) -> TakenBack<Client> {
        TakenBack::Nothing
    }

    fn queued(&self) -> usize {
        0
    }

    fn waiting(&self) -> usize {
        0
    }

    fn open(&self) -> usize {
        0
    }

    fn taken(&self) -> u64 {
        self.served.0.load(Ordering::Relaxed)
    }

    fn has_shared_counters(&self) -> bool {
        true
    }

    fn messages(&self) -> u64 {
        0
    }

    fn accept_counter(&self, _slot: Option<u8>) -> Arc<dyn AcceptCounter> {
        Arc::clone(&self.served) as _
    }

    fn send(&self, message: &ToWorker, _socket: Option<NoSocket>) -> Result<(), Unread> {
        if matches!(message, ToWorker::Probe) {
            self.orders.probes.borrow_mut().push(self.id);
        }
        Ok(())
    }

    fn send_drain(&self, _order: DrainOrder) {
        self.orders.drains.borrow_mut().push(self.id);
    }

    fn set_accepting(&self, _is_accepting: bool) {}

    fn queued_sockets(&self) -> usize {
        0
    }

    fn emptied(&self) {}
    fn assigned(&self, _listener: ListenerId, _socket: &NoSocket) {}
    fn unassigned(&self, _listener: Option<ListenerId>) {}

    fn cut(&self) -> usize {
        0
    }

    fn signal(&self, _signal: EndSignal, _is_stuck: bool) {}

    fn ask_for_stack(&self) -> bool {
        false
    }

    fn beat(&self) -> Option<u64> {
        if self.turns.get() {
            self.beat.set(self.beat.get() + 2);
        }
        Some(self.beat.get())
    }

    fn processor_time(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn has_inspector_client(&self) -> bool {
        false
    }

    fn memory(&self) -> Option<u64> {
        None
    }

    fn requests(&self) -> u64 {
        0
    }

    fn load(&self) -> Option<Load> {
        None
    }
}

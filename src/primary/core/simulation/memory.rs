//! A driver that keeps everything in memory: the queues and sockets of workers that the test plays, and
//! where each client is. A client that is in two places, or in none, fails the test at once.

use core::net::{IpAddr, Ipv4Addr};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet, VecDeque},
    fmt,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
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
        report::{Report, SlotNumber},
        status::Status,
    },
    suspicion::Load,
};
use crate::protocol::{
    ListenerId, WorkerId,
    control::{DrainOrder, Query, ToWorker},
};

/// Connections that a queue has room for.
pub(super) const QUEUE: usize = 13;

/// Messages that may wait for a worker.
const MESSAGES: usize = 4096;

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Backlog,
    Engine,
    Queue(WorkerId),
    Served,
    /// Closed without being served.
    Closed,
    /// Idle, in the engine.
    Parked,
    /// At the primary that has taken over.
    Successor,
}

/// All clients that there have been.
#[derive(Default)]
pub(super) struct Clients {
    places: RefCell<Vec<Place>>,
    /// How many are in the engine, in queues, at servers, closed, parked, and at the successor.
    counts: Cell<[usize; 6]>,
    /// Those that have sent something since they were parked.
    pub(super) spoken: RefCell<HashSet<u32>>,
    /// Those that were parked, and have been ended because their time was over.
    pub(super) ended: RefCell<HashSet<u32>>,
    /// Whether the core may close a client that no worker has served.
    pub(super) may_close: Cell<bool>,
}

impl Clients {
    pub(super) fn connect(&self) -> u32 {
        let mut places = self.places.borrow_mut();
        places.push(Place::Backlog);
        places.len() as u32 - 1
    }

    pub(super) fn place(&self, client: u32) -> Place {
        self.places.borrow()[client as usize]
    }

    pub(super) fn put(&self, client: u32, place: Place) {
        let before = std::mem::replace(&mut self.places.borrow_mut()[client as usize], place);
        let mut counts = self.counts.get();
        if let Some(index) = index(before) {
            counts[index] -= 1;
        }
        if let Some(index) = index(place) {
            counts[index] += 1;
        }
        self.counts.set(counts);
    }

    pub(super) fn connected(&self) -> usize {
        self.places.borrow().len()
    }

    pub(super) fn count(&self, place: Place) -> usize {
        index(place).map_or(0, |index| self.counts.get()[index])
    }

    /// The client leaves the worker's queue, or a backlog, for a server.
    pub(super) fn serve(&self, client: u32) {
        assert!(
            matches!(self.place(client), Place::Backlog | Place::Queue(_)),
            "{:?} is served once",
            self.place(client)
        );
        self.put(client, Place::Served);
        // It may be parked again.
        self.spoken.borrow_mut().remove(&client);
    }

    /// Whether the client has been told that its connection ends.
    fn is_ended(&self, client: u32) -> bool {
        self.ended.borrow().contains(&client)
    }
}

fn index(place: Place) -> Option<usize> {
    match place {
        Place::Backlog => None,
        Place::Engine => Some(0),
        Place::Queue(_) => Some(1),
        Place::Served => Some(2),
        Place::Closed => Some(3),
        Place::Parked => Some(4),
        Place::Successor => Some(5),
    }
}

/// A connection in the engine.
pub(super) struct Client(pub(super) u32, pub(super) Rc<Clients>);

impl Connection for Client {
    fn source(&self) -> Option<IpAddr> {
        // A client in 8 comes from no internet address.
        let is_local = self.0.is_multiple_of(8);
        (!is_local).then(|| Ipv4Addr::from_bits(0x0a00_0000 + self.0 % 10_007).into())
    }

    fn received(&self) -> Received {
        let has_spoken = self.1.spoken.borrow().contains(&self.0);
        if has_spoken { Received::Bytes } else { Received::Nothing }
    }

    fn end(&self) {
        assert_eq!(self.received(), Received::Nothing, "client {} has a request", self.0);
        self.1.ended.borrow_mut().insert(self.0);
        self.1.put(self.0, Place::Closed);
    }
}

/// The driver.
pub(super) struct Memory {
    pub(super) clients: Rc<Clients>,
    pub(super) reports: Rc<RefCell<Vec<Report>>>,
    /// What was ordered of the successor.
    pub(super) orders: Rc<RefCell<Vec<SuccessorOrder>>>,
}

impl Driver for Memory {
    type Connection = Client;
    type Lanes = Rc<MemoryLanes>;
    type Socket = Rc<MemorySocket>;
    type Acceptors = Rc<Notices>;

    fn debug_log(&self, _line: fmt::Arguments<'_>) {}

    fn forward(&mut self, _listener: ListenerId, connection: Client, _how: Forwarded) {
        assert_eq!(self.clients.place(connection.0), Place::Engine);
        self.clients.put(connection.0, Place::Successor);
    }

    fn successor(&self, order: SuccessorOrder) {
        self.orders.borrow_mut().push(order);
    }

    fn close(&mut self, connection: Client) {
        if self.clients.place(connection.0) == Place::Engine {
            let may_close = self.clients.may_close.get() || self.clients.is_ended(connection.0);
            assert!(may_close, "client {} is lost", connection.0);
            self.clients.put(connection.0, Place::Closed);
        }
    }

    fn socket_released(&self) {}

    fn start_worker(&self, _id: WorkerId, _slot: SlotNumber, _recipe: RecipeId) {}

    fn forget_recipe(&self, _recipe: RecipeId) {}

    fn prepared(&self) {}

    fn report(&self, report: Report) {
        self.reports.borrow_mut().push(report);
    }

    fn publish(&self, _status: Status) {}

    fn sample(&self, _total: Total, _now: Instant) {}

    fn new_acceptors(&self) -> Rc<Notices> {
        Rc::default()
    }
}

/// How often the acceptors of a listener were notified.
#[derive(Default)]
pub(super) struct Notices {
    pub(super) room: Cell<u64>,
    pub(super) change: Cell<u64>,
    /// The parked clients.
    pub(super) watched: RefCell<BTreeMap<ParkedId, u32>>,
}

impl Acceptors for Rc<Notices> {
    type Connection = Client;

    fn notify_room(&self) {
        self.room.set(self.room.get() + 1);
    }

    fn notify_change(&self) {
        self.change.set(self.change.get() + 1);
    }

    fn watch_parked(&self, id: ParkedId, client: &Client) -> bool {
        client.1.put(client.0, Place::Parked);
        self.watched.borrow_mut().insert(id, client.0);
        true
    }

    fn unwatch_parked(&self, id: ParkedId, client: &Client) {
        // It may have been handed over.
        if client.1.place(client.0) == Place::Parked {
            client.1.put(client.0, Place::Engine);
        }
        assert_eq!(self.watched.borrow_mut().remove(&id), Some(client.0));
    }

    fn inherit(&mut self, _other: Self) {}
}

/// A listening socket.
pub(super) struct MemorySocket {
    pub(super) backlog: RefCell<VecDeque<u32>>,
    pub(super) listens: Cell<bool>,
    /// Whether the engine has it open.
    pub(super) is_open: Cell<bool>,
    /// Whether it belongs to the successor.
    pub(super) is_disowned: Cell<bool>,
    pub(super) clients: Rc<Clients>,
}

impl MemorySocket {
    pub(super) fn new(clients: &Rc<Clients>) -> Rc<Self> {
        Rc::new(Self {
            backlog: RefCell::default(),
            listens: Cell::new(true),
            is_open: Cell::new(true),
            is_disowned: Cell::new(false),
            clients: Rc::clone(clients),
        })
    }

    /// The kernel resets what waits at a socket that listens no more.
    pub(super) fn shut(&self) {
        self.listens.set(false);
        for client in self.backlog.borrow_mut().drain(..) {
            self.clients.put(client, Place::Closed);
        }
    }

    pub(super) fn accept(&self) -> Option<Client> {
        let number = self.backlog.borrow_mut().pop_front()?;
        self.clients.put(number, Place::Engine);
        Some(Client(number, Rc::clone(&self.clients)))
    }
}

impl Socket for Rc<MemorySocket> {
    type Connection = Client;
    type Duplicate = Self;

    fn duplicate(&self) -> Result<Self, i32> {
        Ok(Rc::clone(self))
    }

    fn is_listening(&self) -> bool {
        self.is_open.get() && self.listens.get()
    }

    fn is(&self, _fd: i32) -> bool {
        false
    }

    fn backlog(&self) -> usize {
        self.backlog.borrow().len()
    }

    fn accept_backlog(&self, _query: &Query, take: &mut dyn FnMut(Client)) -> bool {
        while let Some(client) = self.accept() {
            take(client);
        }
        true
    }

    fn disown(&self) {
        self.is_disowned.set(true);
    }

    fn close(&self, is_last: bool) {
        self.is_open.set(false);
        if is_last && !self.is_disowned.get() {
            let may_close = self.clients.may_close.get();
            assert!(may_close || self.backlog.borrow().is_empty(), "clients in a backlog are lost");
            self.shut();
        }
    }
}

/// What a worker counts.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) handed: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) closed: AtomicU64,
}

impl Counts {
    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn get(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

impl WorkerView for Counts {
    fn accepted(&self) -> u64 {
        Self::get(&self.accepted)
    }

    fn waiting(&self) -> usize {
        (Self::get(&self.handed) - Self::get(&self.taken)) as usize
    }

    fn open(&self) -> usize {
        (Self::get(&self.handed) + Self::get(&self.accepted) - Self::get(&self.closed)) as usize
    }
}

impl AcceptCounter for Counts {
    fn accepted(&self) -> u64 {
        Self::get(&self.accepted)
    }
}

/// The engine's ends of a worker's lanes, and the worker's.
pub(super) struct MemoryLanes {
    pub(super) id: WorkerId,
    pub(super) queue: RefCell<VecDeque<(ListenerId, u32)>>,
    pub(super) messages: RefCell<VecDeque<(ToWorker, Option<Rc<MemorySocket>>)>>,
    pub(super) counts: Arc<Counts>,
    /// Whether the queue refused a connection, and the engine has not seen room in it since.
    pub(super) is_full: Cell<bool>,
    /// Whether there is no descriptor for what is taken back.
    pub(super) has_shortage: Cell<bool>,
    /// How many connections the worker has counted more than it has taken, if it lies: one more at each look.
    pub(super) lies: Cell<Option<u64>>,
    /// How often the kernel was asked how many are in the queue.
    pub(super) queries: Cell<usize>,
    /// How often it was asked about the main thread, and about all threads.
    pub(super) main_times: Cell<usize>,
    pub(super) loads: Cell<usize>,
    /// How often nothing waited any more.
    pub(super) emptied: Cell<u64>,
    pub(super) beat: Cell<Option<u64>>,
    /// How often the stack was asked for, if the worker may be asked.
    pub(super) asked: Cell<Option<usize>>,
    pub(super) is_inspected: Cell<bool>,
    /// Which signals its process got.
    pub(super) signals: RefCell<Vec<EndSignal>>,
    pub(super) clients: Rc<Clients>,
}

impl MemoryLanes {
    pub(super) fn new(id: WorkerId, clients: &Rc<Clients>) -> Rc<Self> {
        Rc::new(Self {
            id,
            queue: RefCell::default(),
            messages: RefCell::default(),
            counts: Arc::default(),
            is_full: Cell::new(false),
            has_shortage: Cell::new(false),
            lies: Cell::new(None),
            queries: Cell::new(0),
            main_times: Cell::new(0),
            loads: Cell::new(0),
            emptied: Cell::new(0),
            beat: Cell::new(None),
            asked: Cell::new(None),
            is_inspected: Cell::new(false),
            signals: RefCell::default(),
            clients: Rc::clone(clients),
        })
    }

    /// The worker takes a connection.
    pub(super) fn take(&self) -> Option<(ListenerId, u32)> {
        let taken = self.queue.borrow_mut().pop_front()?;
        Counts::add(&self.counts.taken);
        Some(taken)
    }
}

impl Lanes for Rc<MemoryLanes> {
    type Connection = Client;
    type Socket = Rc<MemorySocket>;

    fn hand_over(&self, listener: ListenerId, connection: &Client) -> HandOver {
        if self.queue.borrow().len() == QUEUE {
            self.is_full.set(true);
            return HandOver::Full;
        }
        assert!(matches!(self.clients.place(connection.0), Place::Engine | Place::Parked));
        self.clients.put(connection.0, Place::Queue(self.id));
        Counts::add(&self.counts.handed);
        self.queue.borrow_mut().push_back((listener, connection.0));
        HandOver::Done
    }

    fn take_back(&self) -> TakenBack<Client> {
        if self.has_shortage.get() {
            return TakenBack::Later;
        }
        let Some((listener, number)) = self.queue.borrow_mut().pop_front() else {
            return TakenBack::Nothing;
        };
        self.counts.handed.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(self.clients.place(number), Place::Queue(self.id));
        self.clients.put(number, Place::Engine);
        TakenBack::Connection(listener, Client(number, Rc::clone(&self.clients)))
    }

    fn queued(&self) -> usize {
        self.queries.set(self.queries.get() + 1);
        self.queue.borrow().len()
    }

    fn waiting(&self) -> usize {
        self.counts.waiting()
    }

    fn open(&self) -> usize {
        self.counts.open()
    }

    fn taken_beside(&self, queued: usize) -> u64 {
        let from_queue = Counts::get(&self.counts.handed).saturating_sub(queued as u64);
        from_queue + Counts::get(&self.counts.accepted)
    }

    fn counted(&self) -> Option<u64> {
        let counted = Counts::get(&self.counts.taken) + Counts::get(&self.counts.accepted);
        let lies = self.lies.get().map(|lies| lies + 1);
        self.lies.set(lies);
        Some(counted + lies.unwrap_or(0))
    }

    fn has_shared_counters(&self) -> bool {
        true
    }

    fn messages(&self) -> u64 {
        0
    }

    fn accept_counter(&self, _slot: Option<u8>) -> Arc<dyn AcceptCounter> {
        Arc::clone(&self.counts) as _
    }

    fn send(&self, message: &ToWorker, socket: Option<Rc<MemorySocket>>) -> Result<(), Unread> {
        let mut messages = self.messages.borrow_mut();
        if messages.len() == MESSAGES {
            return Err(Unread);
        }
        messages.push_back((message.clone(), socket));
        Ok(())
    }

    fn set_accepting(&self, is_accepting: bool) {
        let mut messages = self.messages.borrow_mut();
        messages.retain(|(it, _)| !matches!(it, ToWorker::Pause | ToWorker::Resume));
        let message = if is_accepting { ToWorker::Resume } else { ToWorker::Pause };
        messages.push_back((message, None));
    }

    fn queued_sockets(&self) -> usize {
        self.messages.borrow().iter().filter(|(_, socket)| socket.is_some()).count()
    }

    fn emptied(&self) {
        self.emptied.set(self.emptied.get() + 1);
    }

    fn assigned(&self, _listener: ListenerId, _socket: &Rc<MemorySocket>) {}

    fn unassigned(&self, _listener: Option<ListenerId>) {}

    fn cut(&self) -> usize {
        0
    }

    fn signal(&self, signal: EndSignal, _is_stuck: bool) {
        self.signals.borrow_mut().push(signal);
    }

    fn send_drain(&self, order: DrainOrder) {
        let mut messages = self.messages.borrow_mut();
        messages.retain(|(it, _)| !matches!(it, ToWorker::Drain(_)));
        messages.push_back((ToWorker::Drain(order), None));
    }

    fn ask_for_stack(&self) -> bool {
        self.asked.set(self.asked.get().map(|count| count + 1));
        self.asked.get().is_some()
    }

    fn beat(&self) -> Option<u64> {
        self.beat.get()
    }

    fn processor_time(&self) -> Option<Duration> {
        None
    }

    fn has_inspector_client(&self) -> bool {
        self.is_inspected.get()
    }

    fn memory(&self) -> Option<u64> {
        None
    }

    fn requests(&self) -> u64 {
        0
    }

    fn main_time(&self) -> Option<Duration> {
        self.main_times.set(self.main_times.get() + 1);
        None
    }

    fn load(&self) -> Option<Load> {
        self.loads.set(self.loads.get() + 1);
        // Those that take nothing sleep.
        let time = Duration::ZERO;
        Some(Load { main: time, all: time, is_runnable: false, may_wait_for_thread: false })
    }
}

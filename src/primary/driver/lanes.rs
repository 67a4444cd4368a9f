//! The engine's ends of one worker's lanes: [`messages`] on the control socket, connections in the queue
//! ([`hand_off`]), and what other threads may ask ([`view`]).

mod hand_off;
mod messages;
mod queue;
mod view;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    os::fd::{OwnedFd, RawFd},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{io::unix::AsyncFd, sync::Notify};

use self::view::{SlotCounter, count_from};
pub(super) use self::{queue::Queue, view::View};
use super::{
    super::core::{
        driver::{EndSignal, HandOver, Lanes, TakenBack, Unread},
        stats::{AcceptCounter, WorkerView},
        suspicion::Load,
    },
    listening_socket::ListeningSocket,
    watchdog_lane::WatchdogLane,
};
use crate::{
    ipc::Packets,
    protocol::{
        ListenerId,
        control::{DrainOrder, ToWorker},
    },
    sys::{
        cpu_time_of,
        exit::Process,
        failure::Fault,
        lane::Transit,
        load::{load_of, main_time_of},
        memory_of,
        reserve::Reserve,
        ring::{ENGAGED, IDLE},
        unread::{has_client_at, with_unread_bytes},
    },
};

/// The port of Node's inspector, unless it is given another.
const INSPECTOR: u16 = 9229;

/// The engine's ends of one worker's lanes.
pub(crate) struct WorkerLanes {
    process: Arc<Process>,
    /// The control socket.
    pub(super) control: AsyncFd<OwnedFd>,
    /// Messages that it had no room for.
    outgoing: RefCell<Packets>,
    /// When to try to send them again, at the earliest.
    flush: Cell<Instant>,
    /// The sending end of the hand-off queue.
    pub(super) queue: Queue,
    /// Where the worker tells its JavaScript stack.
    pub(super) watchdog: WatchdogLane,
    /// What is in the queue.
    transit: Transit,
    view: Arc<View>,
    /// While the queue is full: when to look for room, at the earliest.
    full: Cell<Option<Instant>>,
    /// Why a lane is to be given up, until the worker's task has seen it.
    fault: Cell<Option<Fault>>,
    /// The worker's descriptors of connections with bytes that it had not read when it got a signal.
    unread: RefCell<Vec<RawFd>>,
    /// Has the worker's task look again at what it waits for, and at `fault`.
    pub(super) changed: Notify,
    /// Tells that nothing waits for the worker any more, as far as it was watched.
    pub(super) emptied: Rc<Notify>,
    reserve: Rc<RefCell<Reserve>>,
    /// Where the worker's inspector listens, if it does.
    inspect_port: u16,
}

impl WorkerLanes {
    pub(super) fn new(
        process: Arc<Process>,
        control: AsyncFd<OwnedFd>,
        queue: Queue,
        watchdog: WatchdogLane,
        view: Arc<View>,
        reserve: Rc<RefCell<Reserve>>,
        inspect_port: Option<u16>,
    ) -> Self {
        Self {
            process,
            control,
            outgoing: RefCell::default(),
            flush: Cell::new(Instant::now()),
            queue,
            watchdog,
            transit: Transit::default(),
            view,
            full: Cell::default(),
            fault: Cell::default(),
            unread: RefCell::default(),
            changed: Notify::new(),
            emptied: Rc::new(Notify::new()),
            reserve,
            inspect_port: inspect_port.unwrap_or(INSPECTOR),
        }
    }

    /// When to look for room in the queue, at the earliest, if it is full.
    pub(super) fn full(&self) -> Option<Instant> {
        self.full.get()
    }

    /// The queue has room.
    pub(super) fn set_drained(&self) {
        self.full.set(None);
    }

    /// Why a lane is to be given up, if so. Says it once.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.take()
    }

    /// Has the worker's task report that a lane is of no use any more.
    fn give_up(&self, fault: Fault) {
        self.fault.set(Some(fault));
        self.changed.notify_one();
    }
}

impl Lanes for Rc<WorkerLanes> {
    type Connection = OwnedFd;
    type Socket = Rc<ListeningSocket>;

    fn hand_over(&self, listener: ListenerId, connection: &OwnedFd) -> HandOver {
        self.put(listener, connection)
    }

    fn take_back(&self) -> TakenBack<OwnedFd> {
        self.take_back_next()
    }

    fn queued(&self) -> usize {
        let queued = self.view.queued();
        self.transit.release_received(|| queued);
        queued
    }

    fn waiting(&self) -> usize {
        match self.view.counters.is_shared() {
            true => count_from(self.view.counters.taken(), self.view.handed()),
            false => self.view.queued(),
        }
    }

    fn open(&self) -> usize {
        self.view.open()
    }

    fn taken_beside(&self, queued: usize) -> u64 {
        let from_queue = self.view.handed().saturating_sub(queued as u64);
        from_queue.wrapping_add(self.view.counters.accepted())
    }

    fn counted(&self) -> Option<u64> {
        let counters = &self.view.counters;
        let counted = || u64::from(counters.taken()).wrapping_add(counters.accepted());
        counters.is_shared().then(counted)
    }

    fn has_shared_counters(&self) -> bool {
        self.view.counters.is_shared()
    }

    fn messages(&self) -> u64 {
        self.view.counters.messages()
    }

    fn accept_counter(&self, slot: Option<u8>) -> Arc<dyn AcceptCounter> {
        Arc::new(SlotCounter::new(self.view.counters.clone(), slot))
    }

    fn send(&self, message: &ToWorker, socket: Option<OwnedFd>) -> Result<(), Unread> {
        self.push(message, socket)
    }

    fn send_drain(&self, order: DrainOrder) {
        self.push_drain(order);
    }

    fn set_accepting(&self, is_accepting: bool) {
        self.push_accepting(is_accepting);
    }

    fn queued_sockets(&self) -> usize {
        self.outgoing.borrow().count_descriptors()
    }

    fn emptied(&self) {
        self.emptied.notify_waiters();
    }

    fn assigned(&self, listener: ListenerId, socket: &Rc<ListeningSocket>) {
        if let Some(number) = socket.number() {
            self.view.sockets().push((listener, number));
        }
    }

    fn unassigned(&self, listener: Option<ListenerId>) {
        self.view.sockets().retain(|(it, _)| listener.is_some_and(|listener| *it != listener));
    }

    fn cut(&self) -> usize {
        let mut cut: HashSet<RawFd> = self.view.counters.in_state(ENGAGED).collect();
        cut.extend(&*self.unread.borrow());
        cut.len()
    }

    fn signal(&self, signal: EndSignal, is_stuck: bool) {
        let number = match signal {
            EndSignal::Terminate => libc::SIGTERM,
            EndSignal::Kill => libc::SIGKILL,
        };
        let unread = if is_stuck {
            with_unread_bytes(self.process.pid(), self.view.counters.in_state(IDLE))
        } else {
            Vec::new()
        };
        self.unread.replace(unread);
        // One that has ended is about to be reported. One that may not be signalled stays, and its primary
        // still gets its exit.
        let _ = self.process.signal_group(number);
    }

    fn ask_for_stack(&self) -> bool {
        self.watchdog.ask()
    }

    fn beat(&self) -> Option<u64> {
        let counters = &self.view.counters;
        Some(counters.beat()).filter(|beat| counters.is_shared() && *beat > 0)
    }

    fn processor_time(&self) -> Option<Duration> {
        cpu_time_of(self.process.pid())
    }

    fn has_inspector_client(&self) -> bool {
        has_client_at(self.process.pid(), self.inspect_port)
    }

    fn memory(&self) -> Option<u64> {
        memory_of(self.process.pid())
    }

    fn requests(&self) -> u64 {
        match self.view.counters.requests() {
            // Its servers speak something else.
            0 => self.taken(),
            requests => requests,
        }
    }

    fn main_time(&self) -> Option<Duration> {
        main_time_of(self.process.pid())
    }

    fn load(&self) -> Option<Load> {
        load_of(self.process.pid()).map(|load| Load {
            main: load.main,
            all: load.all,
            is_runnable: load.is_runnable,
            may_wait_for_thread: load.may_wait_for_thread,
        })
    }
}

#[cfg(test)]
mod tests;

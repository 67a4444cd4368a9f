//! The engine's ends of one worker's lanes.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::{
    super::core::{
        driver::{EndSignal, HandOver, Lanes, TakenBack, Unread},
        quota::MAX_LISTENERS,
        stats::{AcceptCounter, WorkerView},
        suspicion::Load,
    },
    listening_socket::ListeningSocket,
    watchdog_lane::WatchdogLane,
};
use crate::{
    ipc::Packets,
    protocol::{
        ListenerId, connection,
        control::{self, DrainOrder, ToWorker},
    },
    sys::{
        cpu_time_of,
        exit::Process,
        failure::{Call, Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane, Transit},
        listen,
        load::load_of,
        memory_of,
        reserve::Reserve,
        ring::{ENGAGED, IDLE, SharedCounters},
        unread::{has_client_at, with_unread_bytes},
    },
};

/// Messages that may wait for a worker to read those before them. One that asks more often without
/// reading the replies breaks the protocol.
const MAX_MESSAGES: usize = 4096;

/// The port of Node's inspector, unless it is given another.
const INSPECTOR: u16 = 9229;

/// How a [`ToWorker::Drain`] begins.
const DRAIN: &[u8] = br#"{"act":"drain","#;

/// Sockets among them: each is a descriptor of this process.
const MAX_SOCKETS: usize = MAX_LISTENERS;

/// What other threads may ask about a worker's connections, at any time.
pub(super) struct View {
    /// Connections put into the queue, less those taken back.
    handed: AtomicU64,
    /// The numbers of the worker's own sockets, as long as they are open.
    sockets: Mutex<Vec<(ListenerId, RawFd)>>,
    /// What the worker counts itself.
    counters: SharedCounters,
    /// A duplicate of the receiving end of the hand-off queue.
    reclaim: OwnedFd,
}

impl View {
    pub(super) fn new(counters: SharedCounters, reclaim: OwnedFd) -> Self {
        Self { handed: AtomicU64::new(0), sockets: Mutex::default(), counters, reclaim }
    }

    fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    /// Counts the connections in the queue. Only the engine's thread does.
    fn change_handed(&self, change: impl FnOnce(u64) -> u64) {
        self.handed.store(change(self.handed.load(Ordering::Relaxed)), Ordering::Release);
    }

    /// How many connections wait in the queue, by the kernel.
    fn queued(&self) -> usize {
        lane::unread(&self.reclaim).map_or(0, connection::waiting)
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<(ListenerId, RawFd)>> {
        // No thread panics while it holds the lock.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerView for View {
    fn accepted(&self) -> u64 {
        self.counters.accepted()
    }

    fn waiting(&self) -> usize {
        let at_sockets =
            self.sockets().iter().map(|(_, it)| listen::backlog_of(*it)).sum::<usize>();
        self.queued() + at_sockets
    }

    fn open(&self) -> usize {
        if !self.counters.is_shared() {
            // It is not known when those that the worker has taken are closed.
            return self.queued();
        }
        // By its own word: one that lies gets too many connections, or too few.
        count_from(self.counters.closed(), self.handed().wrapping_add(self.counters.accepted()))
    }
}

/// How many of `total` connections a worker has not counted, modulo 2^32. One that lies has none.
fn count_from(counted: u32, total: u64) -> usize {
    let more = (total as u32).wrapping_sub(counted);
    usize::try_from(more.cast_signed()).unwrap_or(0)
}

/// What a worker counts at one of its sockets, from now on.
struct SlotCounter {
    counters: SharedCounters,
    slot: Option<u8>,
    /// How far it had counted in this slot before.
    before: u64,
}

impl AcceptCounter for SlotCounter {
    fn accepted(&self) -> u64 {
        self.counters.accepted_at(self.slot).saturating_sub(self.before)
    }
}

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
    pub(super) queue: AsyncFd<OwnedFd>,
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
        queue: AsyncFd<OwnedFd>,
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

    /// When to [`flush`](Self::flush), at the earliest, if messages wait for room.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        (!self.outgoing.borrow().is_empty()).then(|| self.flush.get())
    }

    /// Sends the messages that wait, until the control socket is full.
    pub(super) fn flush(&self) {
        let flushed = self.outgoing.borrow_mut().flush(&self.control);
        match flushed {
            Ok(()) => {}
            Err(Failure::WouldBlock) => {
                show_full(&self.control);
                self.changed.notify_one();
            }
            // Nothing tells when it is over.
            Err(Failure::Shortage(_)) => {
                self.flush.set(Instant::now() + SHORTAGE_PAUSE);
                self.changed.notify_one();
            }
            // The worker's task sees the end of the socket, and waits for the exit.
            Err(Failure::Gone) => {}
            Err(Failure::Fault(fault)) => self.give_up(fault),
        }
    }

    /// Sends a message, and drops those that wait for room and mean nothing after it.
    fn send_in_place_of(&self, packet: Vec<u8>, is_replaced: impl Fn(&[u8]) -> bool) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.retain(|unsent| !is_replaced(unsent));
        outgoing.push(packet, None);
        drop(outgoing);
        self.flush();
    }

    /// Has the worker's task report that a lane is of no use any more.
    fn give_up(&self, fault: Fault) {
        self.fault.set(Some(fault));
        self.changed.notify_one();
    }

    fn put_into_queue(
        &self,
        packet: [u8; connection::PACKET],
        accepted: BorrowedFd<'_>,
    ) -> HandOver {
        match lane::send_fixed_packet(&self.queue, &packet, Some(accepted)) {
            Ok(()) => {
                self.transit.keep(accepted);
                self.tell_handed();
                HandOver::Done
            }
            Err(Failure::WouldBlock) => {
                show_full(&self.queue);
                self.fill(Duration::ZERO)
            }
            // Nothing tells when it is over.
            Err(Failure::Shortage(_)) => self.fill(SHORTAGE_PAUSE),
            // Its receiving end is ours as well, so a worker that dies does not close it.
            Err(Failure::Gone) => {
                self.lose(Fault { call: Call::Send(Lane::HandOff), errno: libc::EPIPE })
            }
            Err(Failure::Fault(fault)) => self.lose(fault),
        }
    }

    fn fill(&self, pause: Duration) -> HandOver {
        self.full.set(Some(Instant::now() + pause));
        self.changed.notify_one();
        HandOver::Full
    }

    fn lose(&self, fault: Fault) -> HandOver {
        self.give_up(fault);
        HandOver::Lost
    }

    /// Lets the worker know how many connections it was given.
    fn tell_handed(&self) {
        self.view.counters.set_handed(self.view.handed() as u32);
    }
}

impl Lanes for Rc<WorkerLanes> {
    type Connection = OwnedFd;
    type Socket = Rc<ListeningSocket>;

    fn hand_over(&self, listener: ListenerId, connection: &OwnedFd) -> HandOver {
        self.transit.release_received(|| self.view.queued());
        self.view.change_handed(|handed| handed + 1);
        let handed_over = self.put_into_queue(connection::encode(listener), connection.as_fd());
        if handed_over != HandOver::Done {
            self.view.change_handed(|handed| handed.saturating_sub(1));
        }
        handed_over
    }

    fn take_back(&self) -> TakenBack<OwnedFd> {
        let mut buffer = [0; connection::PACKET];
        loop {
            let received = self
                .reserve
                .borrow_mut()
                .lend(|| lane::receive_shared(&self.view.reclaim, &mut buffer));
            let packet = match received {
                Some(Ok(packet)) if packet.length > 0 => packet,
                Some(Ok(_) | Err(Failure::WouldBlock | Failure::Gone)) => {
                    return TakenBack::Nothing;
                }
                None | Some(Err(Failure::Shortage(_))) => return TakenBack::Later,
                Some(Err(Failure::Fault(fault))) => {
                    self.give_up(fault);
                    return TakenBack::Nothing;
                }
            };
            self.view.change_handed(|handed| handed.saturating_sub(1));
            self.tell_handed();
            // Without a descriptor another thread took the number: that connection is closed.
            let listener = connection::decode(&buffer[..packet.length]);
            match (listener, packet.descriptor) {
                (Some(listener), Some(connection)) => {
                    // The worker may have looked at the packet, and so have a duplicate. It fails only for
                    // what is not a socket, which the engine has put there itself.
                    let _ = listen::reset_options(&connection);
                    return TakenBack::Connection(listener, connection);
                }
                (Some(listener), None) => return TakenBack::Closed(listener),
                (None, _) => {}
            }
        }
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

    fn taken(&self) -> u64 {
        let from_queue = self.view.handed().saturating_sub(self.view.queued() as u64);
        from_queue.wrapping_add(self.view.counters.accepted())
    }

    fn has_shared_counters(&self) -> bool {
        self.view.counters.is_shared()
    }

    fn messages(&self) -> u64 {
        self.view.counters.messages()
    }

    fn accept_counter(&self, slot: Option<u8>) -> Arc<dyn AcceptCounter> {
        let counters = self.view.counters.clone();
        let before = counters.accepted_at(slot);
        Arc::new(SlotCounter { counters, slot, before })
    }

    fn send(&self, message: &ToWorker, socket: Option<OwnedFd>) -> Result<(), Unread> {
        // Encoding fails only for what is too long, which replies are not: `data` is checked.
        let packet = control::encode(message).map_err(|_| Unread)?;
        let outgoing = self.outgoing.borrow();
        let has_room = socket.is_none() || outgoing.count_descriptors() < MAX_SOCKETS;
        if outgoing.len() >= MAX_MESSAGES || !has_room {
            return Err(Unread);
        }
        drop(outgoing);
        self.outgoing.borrow_mut().push(packet, socket);
        self.flush();
        Ok(())
    }

    fn send_drain(&self, order: DrainOrder) {
        // Encoding fails only for what is too long.
        let packet = control::encode(&ToWorker::Drain(order)).unwrap_or_default();
        self.send_in_place_of(packet, |unsent| unsent.starts_with(DRAIN));
    }

    fn set_accepting(&self, is_accepting: bool) {
        // Encoding fails only for what is too long.
        let told =
            [ToWorker::Pause, ToWorker::Resume].map(|it| control::encode(&it).unwrap_or_default());
        let packet = told[usize::from(is_accepting)].clone();
        self.send_in_place_of(packet, |unsent| told.iter().any(|told| told == unsent));
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

    fn load(&self) -> Option<Load> {
        load_of(self.process.pid()).map(|load| Load {
            main: load.main,
            all: load.all,
            is_runnable: load.is_runnable,
            may_wait_for_thread: load.may_wait_for_thread,
        })
    }
}

/// The runtime believes a lane writable until it is shown otherwise.
fn show_full(lane: &AsyncFd<OwnedFd>) {
    let blocked = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = lane.try_io(Interest::WRITABLE, blocked);
}

#[cfg(test)]
mod tests;

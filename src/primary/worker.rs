use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::{
    listening_socket::ListeningSocket,
    quota::{Claim, MAX_AWAITED, MAX_LISTENERS},
    round::Round,
    stats::{Counts, WorkerCounters, count_from},
    suspicion::Suspicion,
};
use crate::{
    error::{Error, Result},
    ipc::Packets,
    protocol::{
        ListenerId, connection,
        control::{self, ToWorker},
    },
    sys::{
        failure::{Call, Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane, Transit},
        reserve::Reserve,
        ring::{SEATS, Tally},
    },
};

/// Whether a worker took a connection into its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handover {
    /// It is in the lane: the worker's, as soon as the worker takes it.
    Done,
    /// No room now; the worker's task watches for it.
    Full,
    /// The worker is gone, which its task is about to see.
    Gone,
}

/// What [`Worker::take_back`] found.
#[derive(Debug)]
pub(super) enum TakenBack {
    Connection(ListenerId, OwnedFd),
    /// Nothing waits.
    Nothing,
    /// What waits can't be taken back now: try again after [`SHORTAGE_PAUSE`].
    Later,
}

/// Orders that may wait for a worker to read those before them. One that asks more often without
/// reading the replies breaks the protocol.
const MAX_ORDERS: usize = 4096;

/// Sockets among them: each is a descriptor of this process.
const MAX_SOCKETS: usize = MAX_LISTENERS;

/// Whether a worker's lane takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Free,
    /// Until the worker's task has seen it drained.
    Full,
    /// For good: the worker is gone.
    Gone,
}

/// A socket of a listener that a worker accepts from itself.
struct Seated {
    listener: ListenerId,
    number: Option<u8>,
    socket: Rc<ListeningSocket>,
}

/// One worker, as the engine sees it.
pub(super) struct Worker {
    pub(super) pid: i32,
    /// Shared with the worker's task, which waits on it, as the lane is.
    control: Rc<AsyncFd<OwnedFd>>,
    /// What the control lane had no room for.
    orders: RefCell<Packets>,
    /// When to try to send them again, at the earliest.
    flush: Cell<Instant>,
    /// Why one of its lanes is to be given up, until the worker's task has seen it.
    fault: Cell<Option<Fault>>,
    lane: Rc<AsyncFd<OwnedFd>>,
    /// What is in the lane.
    transit: Transit,
    counters: Arc<WorkerCounters>,
    room: Cell<Room>,
    /// When to look for room, at the earliest.
    retry: Cell<Instant>,
    /// How many of each listener it has been given and may return, less those taken back or returned.
    given: RefCell<HashMap<ListenerId, u64>>,
    /// How many of them the worker had taken when it was last seen to take one, and when that was.
    taken: Cell<(u64, Instant)>,
    suspicion: Cell<Option<Suspicion>>,
    /// Set while a probe is unanswered.
    probed: Cell<bool>,
    /// Has the worker's task look again at what it waits for, and at `fault`.
    filled: Rc<Notify>,
    /// How long connections wait for another worker when this one is the last to leave.
    pub(super) hold: Duration,
    /// How many addresses it waits for.
    awaited: Cell<usize>,
    /// The sockets that it accepts from itself.
    seats: RefCell<Vec<Seated>>,
    /// Looks for what waits at them.
    round: Cell<Round>,
    /// Tells that nothing waits for it any more.
    emptied: Rc<Notify>,
    /// Runs as another user, whose files are not to be trusted.
    pub(super) is_other_user: bool,
    /// Out of every rotation, for good.
    pub(super) retired: bool,
    /// It has said that it does not exit, though it has disconnected.
    pub(super) staying: bool,
    /// Gets no connections, as long as its primary wants.
    pub(super) paused: bool,
    /// Gets no connections until it has a descriptor for one.
    pub(super) exhausted: bool,
    /// What it says of that.
    pub(super) claim: Claim,
}

impl Worker {
    pub(super) fn new(
        pid: i32,
        control: Rc<AsyncFd<OwnedFd>>,
        lane: Rc<AsyncFd<OwnedFd>>,
        reclaim: OwnedFd,
        tally: Tally,
        filled: Rc<Notify>,
        hold: Duration,
    ) -> Self {
        Self {
            pid,
            control,
            orders: RefCell::default(),
            flush: Cell::new(Instant::now()),
            fault: Cell::default(),
            lane,
            transit: Transit::default(),
            counters: Arc::new(WorkerCounters::new(tally, reclaim)),
            room: Cell::new(Room::Free),
            retry: Cell::new(Instant::now()),
            given: RefCell::default(),
            taken: Cell::new((0, Instant::now())),
            suspicion: Cell::new(None),
            probed: Cell::new(false),
            filled,
            hold,
            awaited: Cell::new(0),
            seats: RefCell::default(),
            round: Cell::default(),
            emptied: Rc::new(Notify::new()),
            is_other_user: false,
            retired: false,
            staying: false,
            paused: false,
            exhausted: false,
            claim: Claim::default(),
        }
    }

    /// Whether the worker is one to serve, however full its lane.
    pub(super) fn is_serving(&self) -> bool {
        !self.counters.is_stalled() && !self.paused && !self.exhausted
    }

    /// Whether the worker can take another connection, as far as is known.
    fn takes(&self) -> bool {
        self.room.get() == Room::Free && self.is_serving()
    }

    /// How many connections wait in the lane, by the worker's own word, or `None` when it can take no
    /// other. Costs no system call.
    pub(super) fn waiting(&self) -> Option<usize> {
        let Self { counters, .. } = self;
        self.takes().then(|| match counters.tally().is_shared() {
            true => count_from(counters.tally().taken(), counters.handed()),
            false => self.in_lane(),
        })
    }

    /// How many connections the worker has, those in the lane among them, or `None` when it can take
    /// no other. Costs no system call.
    pub(super) fn open(&self) -> Option<usize> {
        self.takes().then(|| self.counters.open())
    }

    /// Counts what became of one connection.
    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        self.counters.count(add);
    }

    /// What others may read of it.
    pub(super) fn counters(&self) -> Arc<WorkerCounters> {
        Arc::clone(&self.counters)
    }

    /// How many of them wait in the lane.
    pub(super) fn in_lane(&self) -> usize {
        self.counters.in_lane()
    }

    /// The first connection waits, where there was none: time runs from now.
    pub(super) fn watch(&self, now: Instant) {
        self.taken.set((self.count_taken(), now));
        self.suspicion.set(None);
    }

    /// Tells when nothing waits for it any more, as far as it was watched.
    pub(super) fn emptied(&self) -> Rc<Notify> {
        Rc::clone(&self.emptied)
    }

    /// Gives the worker a seat, and says what it calls it: nothing, if it has too many to count.
    pub(super) fn sit(&self, listener: ListenerId, socket: &Rc<ListeningSocket>) -> Option<u8> {
        let mut seats = self.seats.borrow_mut();
        let is_free = |number: &u8| seats.iter().all(|seat| seat.number != Some(*number));
        let number = (0..SEATS as u8).find(is_free);
        // Only the worker knows how many it accepts there.
        self.given.borrow_mut().insert(listener, u64::MAX);
        if let Some(number) = socket.number() {
            self.counters.add_seat(listener, number);
        }
        seats.push(Seated { listener, number, socket: Rc::clone(socket) });
        number
    }

    /// Whether connections wait for the worker. Tells once they no longer do. Of one with many seats it may
    /// take a few looks to know.
    pub(super) fn look(&self) -> Option<bool> {
        self.transit.settle(|| self.in_lane());
        if self.in_lane() > 0 {
            return Some(true);
        }
        let seats = self.seats.borrow();
        let mut round = self.round.get();
        let waits = round.look(seats.len(), |seat| {
            seats.get(seat).is_some_and(|seat| seat.socket.backlog() > 0)
        });
        self.round.set(round);
        if waits == Some(false) {
            self.emptied.notify_waiters();
        }
        waits
    }

    /// Whether the worker may return a connection of this listener, which it then has no more.
    pub(super) fn gives_back(&self, listener: ListenerId) -> bool {
        let mut given = self.given.borrow_mut();
        let count = given.get_mut(&listener).filter(|count| **count > 0);
        count.map(|count| *count = if *count == u64::MAX { u64::MAX } else { *count - 1 }).is_some()
    }

    /// Whether it may have a connection of this listener that it may return.
    pub(super) fn has_of(&self, listener: ListenerId) -> bool {
        self.given.borrow().get(&listener).is_some_and(|count| *count > 0)
    }

    /// Forgets of which closed listeners it has connections, when they are many.
    pub(super) fn forget_given(&self, is_open: impl Fn(ListenerId) -> bool) {
        let mut given = self.given.borrow_mut();
        if given.len() > MAX_LISTENERS {
            given.retain(|listener, _| is_open(*listener));
        }
    }

    /// Counts an address that it waits for, unless these are too many.
    pub(super) fn begin_wait(&self) -> bool {
        let awaited = self.awaited.get();
        self.awaited.set((awaited + 1).min(MAX_AWAITED));
        awaited < MAX_AWAITED
    }

    /// It waits for one address less.
    pub(super) fn end_wait(&self) {
        self.awaited.set(self.awaited.get().saturating_sub(1));
    }

    /// The worker leaves all its seats.
    pub(super) fn stand_up(&self) {
        self.counters.remove_seats(|_| true);
        self.seats.borrow_mut().clear();
    }

    /// The worker leaves its seat at this listener, if it has one.
    pub(super) fn stand(&self, listener: ListenerId) {
        self.counters.remove_seats(|it| it == listener);
        self.seats.borrow_mut().retain(|seat| seat.listener != listener);
    }

    /// Whether it can accept from sockets of its own: then it alone knows how many it has taken.
    pub(super) fn counts(&self) -> bool {
        self.counters.tally().is_shared()
    }

    /// What it has counted.
    pub(super) fn tally(&self) -> Tally {
        self.counters.tally().clone()
    }

    /// Whether connections, which wait now, have waited for so long and the worker, though it could, takes none.
    pub(super) fn is_stuck(&self, now: Instant, patience: Duration) -> bool {
        let (seen, since) = self.taken.get();
        if self.count_taken() != seen {
            self.watch(now);
            return false;
        }
        if now.duration_since(since) < patience {
            return false;
        }
        let suspicion = match self.suspicion.get() {
            Some(suspicion) if suspicion.confirmed => return true,
            Some(suspicion) => suspicion.confirm(self.pid, now),
            None => Suspicion::new(self.pid, now),
        };
        self.suspicion.set(Some(suspicion));
        suspicion.confirmed
    }

    /// Whether it was stuck when it was looked at last, and has taken nothing since.
    pub(super) fn is_still_stuck(&self) -> bool {
        let is_confirmed = self.suspicion.get().is_some_and(|suspicion| suspicion.confirmed);
        is_confirmed && self.count_taken() == self.taken.get().0 && self.look() == Some(true)
    }

    /// How many connections the worker has taken from its lane, and from its seats.
    fn count_taken(&self) -> u64 {
        let from_lane = self.counters.handed().saturating_sub(self.in_lane() as u64);
        from_lane.wrapping_add(self.counters.tally().accepted())
    }

    /// Whether the worker, for which nothing waits, may be free: because it takes all at once. Or it has not
    /// been given anything since it got stuck. A probe tells.
    pub(super) fn seems_free(&self) -> bool {
        // The lane of one that is refused for a shortage is empty as well.
        let may_have_room = self.room.get() != Room::Gone;
        !self.probed.get() && may_have_room && self.is_serving()
    }

    /// Whether a probe is unanswered.
    pub(super) fn is_probed(&self) -> bool {
        self.probed.get()
    }

    /// Asks whether the worker's event loop turns.
    pub(super) fn probe(&self) {
        // It fails when too many orders wait for the worker already.
        if !self.probed.get() && self.order(&ToWorker::Probe, None).is_ok() {
            self.probed.set(true);
        }
    }

    /// Gives the worker nothing more until it answers a probe.
    pub(super) fn stall(&self) {
        self.probe();
        self.counters.set_stalled(self.probed.get());
    }

    /// The worker has answered the probe. Says whether it was stalled.
    pub(super) fn answered(&self) -> bool {
        self.probed.set(false);
        let was_stalled = self.counters.is_stalled();
        self.counters.set_stalled(false);
        was_stalled
    }

    /// Puts a connection into the lane. The caller's descriptor stays open.
    pub(super) fn hand_over(&self, listener: ListenerId, accepted: impl AsFd) -> Handover {
        let packet = connection::encode(listener);
        self.transit.settle(|| self.in_lane());
        self.counters.add_handed();
        self.count(|counts| counts.handed_over += 1);
        let handover = self.put_into_lane(listener, packet, accepted.as_fd());
        if handover != Handover::Done {
            self.counters.remove_handed();
            self.count(|counts| counts.handed_over -= 1);
        }
        handover
    }

    fn put_into_lane(
        &self,
        listener: ListenerId,
        packet: [u8; connection::PACKET],
        accepted: BorrowedFd<'_>,
    ) -> Handover {
        match lane::send_fixed_packet(&*self.lane, &packet, Some(accepted)) {
            Ok(()) => {
                self.transit.keep(accepted);
                self.tell_handed();
                let mut given = self.given.borrow_mut();
                let given = given.entry(listener).or_default();
                *given = given.saturating_add(1);
                Handover::Done
            }
            Err(Failure::WouldBlock) => {
                show_full(&self.lane);
                self.fill(Duration::ZERO)
            }
            // The lane won't tell when it is over.
            Err(Failure::Shortage(_)) => self.fill(SHORTAGE_PAUSE),
            // Its receiving end is ours as well, so a worker that dies does not close it.
            Err(Failure::Gone) => {
                self.lose(Fault { call: Call::Send(Lane::Connection), errno: libc::EPIPE })
            }
            Err(Failure::Fault(fault)) => self.lose(fault),
        }
    }

    /// Lets the worker know how many connections it was given.
    fn tell_handed(&self) {
        self.counters.tally().set_handed(self.counters.handed() as u32);
    }

    fn lose(&self, fault: Fault) -> Handover {
        self.room.set(Room::Gone);
        self.give_up(fault);
        Handover::Gone
    }

    /// Has the worker's task tell the primary that a lane is of no use any more.
    fn give_up(&self, fault: Fault) {
        self.fault.set(Some(fault));
        self.filled.notify_one();
    }

    /// Why a lane is to be given up, if so. Says it once.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.take()
    }

    fn fill(&self, pause: Duration) -> Handover {
        self.room.set(Room::Full);
        self.retry.set(Instant::now() + pause);
        self.filled.notify_one();
        Handover::Full
    }

    /// When to look for room in the lane, at the earliest, if it is full.
    pub(super) fn retry(&self) -> Option<Instant> {
        (self.room.get() == Room::Full).then(|| self.retry.get())
    }

    /// The lane has room again.
    pub(super) fn drained(&self) {
        if self.room.get() == Room::Full {
            self.room.set(Room::Free);
        }
    }

    /// Sends an order behind those already waiting, with the socket of a reply if there is one.
    pub(super) fn order(&self, order: &ToWorker, socket: Option<OwnedFd>) -> Result<()> {
        let packet = control::encode(order)?;
        let orders = self.orders.borrow();
        let has_room = socket.is_none() || orders.count_descriptors() < MAX_SOCKETS;
        if orders.len() >= MAX_ORDERS || !has_room {
            return Err(Error::Unread);
        }
        drop(orders);
        self.orders.borrow_mut().push(packet, socket);
        self.flush_orders();
        Ok(())
    }

    /// How many sockets wait for the worker to read the replies before them.
    pub(super) fn queued_sockets(&self) -> usize {
        self.orders.borrow().count_descriptors()
    }

    /// Tells the worker whether it is to accept from its seats.
    pub(super) fn tell_seats(&self) {
        // Encoding fails only for what is too long, which these are not.
        let told =
            [ToWorker::Resume, ToWorker::Pause].map(|it| control::encode(&it).unwrap_or_default());
        let packet = told[usize::from(self.paused)].clone();
        let mut orders = self.orders.borrow_mut();
        // What it has not read is out of date.
        orders.retain(|order| !told.iter().any(|told| told == order));
        orders.push(packet, None);
        drop(orders);
        self.flush_orders();
    }

    /// When to [`flush_orders`](Self::flush_orders), at the earliest, if some wait for room.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        (!self.orders.borrow().is_empty()).then(|| self.flush.get())
    }

    /// Sends the orders that wait, until the lane is full.
    pub(super) fn flush_orders(&self) {
        let flushed = self.orders.borrow_mut().flush(&*self.control);
        match flushed {
            Ok(()) => {}
            Err(Failure::WouldBlock) => {
                show_full(&self.control);
                self.filled.notify_one();
            }
            // The lane won't tell when it is over.
            Err(Failure::Shortage(_)) => {
                self.flush.set(Instant::now() + SHORTAGE_PAUSE);
                self.filled.notify_one();
            }
            // The worker's task sees the end of the lane, and waits for the exit.
            Err(Failure::Gone) => {}
            Err(Failure::Fault(fault)) => self.give_up(fault),
        }
    }

    /// Takes back the first connection that waits in the lane, if this process has a number for it.
    pub(super) fn take_back(&self, reserve: &mut Reserve) -> TakenBack {
        let mut buffer = [0; connection::PACKET];
        loop {
            let received =
                reserve.lend(|| lane::receive_shared(self.counters.reclaim(), &mut buffer));
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
            self.counters.remove_handed();
            self.tell_handed();
            // Without a descriptor another thread took the number: that connection is closed.
            let listener = connection::decode(&buffer[..packet.length]);
            if let Some(listener) = listener {
                self.gives_back(listener);
            }
            if let Some((listener, connection)) = listener.zip(packet.descriptor) {
                return TakenBack::Connection(listener, connection);
            }
        }
    }
}

/// The runtime believes a lane writable until it is shown otherwise.
fn show_full(lane: &AsyncFd<OwnedFd>) {
    let blocked = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = lane.try_io(Interest::WRITABLE, blocked);
}

#[cfg(test)]
mod tests {
    use super::{
        super::suspicion::{OBSERVATION, SUSPICION},
        *,
    };
    use crate::{
        protocol::control::MAX_PACKET,
        sys::{
            inject::{FAULTS, GONE, SHORTAGES, fail_here},
            ring::{self, Ring, Side},
            watched,
        },
    };

    const ORDERING: Call = Call::Send(Lane::Control);
    const HANDING: Call = Call::Send(Lane::Connection);

    /// A worker, and its end of the connection lane.
    fn worker() -> (Worker, OwnedFd) {
        let (worker, end, _) = controlled_worker();
        (worker, end)
    }

    /// As that, and its end of the control lane.
    fn controlled_worker() -> (Worker, OwnedFd, OwnedFd) {
        let (control, their_control) = lane::packet_pair().unwrap();
        let (ours, theirs) = lane::packet_pair().unwrap();
        let watch = |fd, interest| Rc::new(watched::watch(fd, interest).ok().unwrap());
        let control = watch(control, Interest::READABLE | Interest::WRITABLE);
        let lane = watch(ours, Interest::WRITABLE);
        let reclaim = theirs.try_clone().unwrap();
        // Of nobody, so that the machine's load has no say.
        let pid = -1;
        let ring = Ring::map(ring::create().unwrap(), Side::Primary).unwrap();
        let filled = Rc::new(Notify::new());
        let worker = Worker::new(pid, control, lane, reclaim, ring.tally, filled, Duration::ZERO);
        (worker, theirs, their_control)
    }

    /// What the worker is told.
    fn orders(control: &OwnedFd) -> Vec<ToWorker> {
        let packets = std::iter::from_fn(|| lane::receive_whole_packet(control, MAX_PACKET).ok());
        packets.map(|it| control::decode(&it.bytes, it.length).unwrap()).collect()
    }

    fn hand_over(worker: &Worker) {
        let (cargo, _) = lane::stream_pair().unwrap();
        assert_eq!(worker.hand_over(1, &cargo), Handover::Done);
    }

    fn take(end: &OwnedFd) {
        lane::receive_fixed_packet(end, &mut [0; connection::PACKET]).unwrap();
    }

    /// What the patrol finds.
    fn is_stuck(worker: &Worker, now: Instant) -> bool {
        worker.look() == Some(true) && worker.is_stuck(now, SUSPICION)
    }

    #[tokio::test]
    async fn a_worker_is_stuck_when_it_takes_nothing_for_a_while() {
        let (worker, end) = worker();
        let start = Instant::now() + Duration::from_secs(1);
        hand_over(&worker);
        worker.watch(start);
        assert!(!is_stuck(&worker, start), "however long it had nothing to take before");
        assert!(!is_stuck(&worker, start + SUSPICION));
        assert!(is_stuck(&worker, start + SUSPICION + OBSERVATION));
        hand_over(&worker);
        take(&end);
        let later = start + SUSPICION + OBSERVATION;
        assert!(!is_stuck(&worker, later), "it has taken one");
        assert!(!is_stuck(&worker, later + SUSPICION));
        assert!(is_stuck(&worker, later + SUSPICION + OBSERVATION));
        take(&end);
        assert!(!is_stuck(&worker, later + Duration::from_secs(1)), "nothing waits");
    }

    #[tokio::test]
    async fn what_was_taken_back_was_not_taken() {
        let (worker, end) = worker();
        let reserve = &mut Reserve::default();
        let start = Instant::now();
        hand_over(&worker);
        hand_over(&worker);
        worker.watch(start);
        assert!(matches!(worker.take_back(reserve), TakenBack::Connection(..)));
        assert!(!is_stuck(&worker, start + SUSPICION));
        assert!(is_stuck(&worker, start + SUSPICION + OBSERVATION));
        take(&end);
        assert!(matches!(worker.take_back(reserve), TakenBack::Nothing));
        assert!(!is_stuck(&worker, start + SUSPICION + OBSERVATION));
    }

    #[tokio::test]
    async fn a_connection_is_open_until_it_is_closed_or_taken_back() {
        let (worker, end) = worker();
        for _ in 0..3 {
            hand_over(&worker);
        }
        take(&end);
        assert_eq!(worker.open(), Some(3));
        worker.counters.tally().add_closed();
        assert!(matches!(worker.take_back(&mut Reserve::default()), TakenBack::Connection(..)));
        assert_eq!(worker.open(), Some(1));
        for _ in 0..2 {
            worker.counters.tally().add_closed();
        }
        assert_eq!(worker.open(), Some(0), "a worker that can't count");
    }

    #[tokio::test]
    async fn a_stalled_worker_takes_nothing_until_it_answers() {
        let (worker, _end) = worker();
        assert_eq!(worker.waiting(), Some(0));
        // Its peer is gone, but the packet is queued or dropped all the same.
        worker.stall();
        assert_eq!((worker.waiting(), worker.seems_free()), (None, false));
        assert!(worker.answered());
        assert!(!worker.answered());
        assert_eq!((worker.waiting(), worker.seems_free()), (Some(0), true));
    }

    #[tokio::test]
    async fn orders_that_meet_a_shortage_are_sent_later_in_order() {
        for errno in SHORTAGES {
            let (worker, _end, control) = controlled_worker();
            fail_here(ORDERING, errno, 3);
            worker.probe();
            worker.order(&ToWorker::Reply(control::Reply::default()), None).unwrap();
            worker.tell_seats();
            assert!(orders(&control).is_empty());
            assert!(worker.flush_at().unwrap() > Instant::now(), "errno {errno}");
            worker.flush_orders();
            let reply = ToWorker::Reply(control::Reply::default());
            assert_eq!(orders(&control), [ToWorker::Probe, reply, ToWorker::Resume]);
            assert!(worker.flush_at().is_none() && worker.take_fault().is_none());
        }
    }

    #[tokio::test]
    async fn orders_for_a_worker_that_is_gone_are_no_fault() {
        for errno in GONE {
            let (worker, _end, _control) = controlled_worker();
            fail_here(ORDERING, errno, 1);
            worker.probe();
            assert!(worker.flush_at().is_none() && worker.take_fault().is_none());
        }
    }

    #[tokio::test]
    async fn an_order_that_fails_otherwise_is_a_fault_once() {
        for errno in FAULTS {
            let (worker, _end, _control) = controlled_worker();
            fail_here(ORDERING, errno, 1);
            worker.tell_seats();
            assert_eq!(worker.take_fault(), Some(Fault { call: ORDERING, errno }));
            assert_eq!(worker.take_fault(), None);
        }
    }

    #[tokio::test]
    async fn each_failure_of_a_hand_over_has_its_outcome() {
        let (cargo, _) = lane::stream_pair().unwrap();
        for errno in SHORTAGES {
            let (worker, end) = worker();
            fail_here(HANDING, errno, 1);
            assert_eq!(worker.hand_over(1, &cargo), Handover::Full, "errno {errno}");
            assert!(worker.retry().unwrap() > Instant::now());
            worker.drained();
            hand_over(&worker);
            take(&end);
        }
        let (full, _end) = worker();
        fail_here(HANDING, libc::EAGAIN, 1);
        assert_eq!(full.hand_over(1, &cargo), Handover::Full);
        assert!(full.retry().is_some());
        for errno in GONE.into_iter().chain(FAULTS) {
            let (worker, _end) = worker();
            fail_here(HANDING, errno, 1);
            assert_eq!(worker.hand_over(1, &cargo), Handover::Gone);
            // The lane can't end while its other end is the engine's as well.
            let reported = if GONE.contains(&errno) { libc::EPIPE } else { errno };
            assert_eq!(worker.take_fault(), Some(Fault { call: HANDING, errno: reported }));
            assert_eq!(worker.waiting(), None);
        }
    }

    #[tokio::test]
    async fn each_failure_of_taking_back_has_its_outcome() {
        const TAKING_BACK: Call = Call::Receive(Lane::Connection);
        let (worker, _end) = worker();
        let reserve = &mut Reserve::default();
        hand_over(&worker);
        for errno in SHORTAGES {
            fail_here(TAKING_BACK, errno, 1);
            assert!(matches!(worker.take_back(reserve), TakenBack::Later), "errno {errno}");
        }
        for (errno, count) in GONE.map(|errno| (errno, 2)).into_iter().chain([(libc::EAGAIN, 1)]) {
            fail_here(TAKING_BACK, errno, count);
            assert!(matches!(worker.take_back(reserve), TakenBack::Nothing), "errno {errno}");
        }
        for errno in FAULTS {
            fail_here(TAKING_BACK, errno, 1);
            assert!(matches!(worker.take_back(reserve), TakenBack::Nothing));
            assert_eq!(worker.take_fault(), Some(Fault { call: TAKING_BACK, errno }));
        }
        assert!(matches!(worker.take_back(reserve), TakenBack::Connection(1, _)));
    }
}

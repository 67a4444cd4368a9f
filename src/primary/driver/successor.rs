//! The process that is to take over from this one, or has, and the lane to it.

use std::{
    cell::{Cell, RefCell},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::{
    super::{
        core::{driver::Forwarded, stats::Counters},
        operator::board::Board,
        primary_recipe::PrimaryRecipe,
    },
    carried::Carrier,
};
use crate::{
    ipc::Packets,
    protocol::{ListenerId, control, upgrade::ToSuccessor},
    sys::{
        exit::Process,
        failure::{Failure, SHORTAGE_PAUSE},
        reserve::Reserve,
    },
};

/// How long the last that it is to get may wait for a successor that does not read.
const ENDING: Duration = Duration::from_secs(30);

/// An upgrade that has begun.
struct Plan {
    recipe: Arc<PrimaryRecipe>,
    deadline: Instant,
}

/// What takes over from this primary.
#[derive(Default)]
pub(super) struct Succession {
    /// Until the process is started, or is not needed any more.
    plan: Option<Plan>,
    /// From then on.
    successor: Option<Rc<Successor>>,
    /// Whether it has been given up.
    is_abandoned: bool,
}

impl Succession {
    /// A process is to be started by this recipe, and its workers are to be ready at the deadline.
    pub(super) fn plan(&mut self, recipe: Arc<PrimaryRecipe>, deadline: Instant) {
        self.plan = Some(Plan { recipe, deadline });
        self.is_abandoned = false;
    }

    /// By which to start it.
    pub(super) fn recipe(&self) -> Option<Arc<PrimaryRecipe>> {
        self.plan.as_ref().map(|plan| Arc::clone(&plan.recipe))
    }

    /// It has been started, or could not be. Returns when its workers have to be ready; `None` if it is not needed any
    /// more.
    pub(super) fn started(&mut self) -> Option<Instant> {
        self.plan.take().map(|plan| plan.deadline)
    }

    pub(super) fn set(&mut self, successor: Option<Rc<Successor>>) {
        self.successor = successor;
        // That may have happened before there was one.
        if self.is_abandoned {
            self.abandon();
        }
    }

    pub(super) fn successor(&self) -> Option<&Rc<Successor>> {
        self.successor.as_ref()
    }

    /// It is not needed any more, unless it serves already.
    pub(super) fn abandon(&mut self) {
        self.plan = None;
        self.is_abandoned = true;
        if let Some(successor) = &self.successor {
            successor.abandon();
        }
    }
}

/// How far a successor has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    GettingReady,
    /// It is to end.
    Abandoned,
    Serving,
    /// It gets the last that it is to get, which it reads until then.
    Ending(Instant),
}

/// A process that is to take over.
pub(super) struct Successor {
    pub(super) process: Arc<Process>,
    pub(super) lane: AsyncFd<OwnedFd>,
    /// What the lane had no room for.
    outgoing: RefCell<Packets>,
    /// When to try to send that, at the earliest.
    flush: Cell<Instant>,
    state: Cell<State>,
    /// Whether it has closed its end of the lane.
    is_unreachable: Cell<bool>,
    /// Has its task look again at what it waits for.
    pub(super) changed: Notify,
    /// Which connections had to be taken by, when there were no other descriptors.
    reserve: Rc<RefCell<Reserve>>,
    /// What it has been told of what was counted here, once it is told of that.
    carrier: RefCell<Option<Carrier>>,
}

impl Successor {
    pub(super) fn new(
        process: Arc<Process>,
        lane: AsyncFd<OwnedFd>,
        reserve: Rc<RefCell<Reserve>>,
    ) -> Self {
        Self {
            process,
            lane,
            outgoing: RefCell::default(),
            flush: Cell::new(Instant::now()),
            state: Cell::new(State::GettingReady),
            is_unreachable: Cell::new(false),
            changed: Notify::new(),
            reserve,
            carrier: RefCell::default(),
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid().cast_unsigned()
    }

    /// Sends a message behind those that wait for room.
    pub(super) fn send(&self, message: &ToSuccessor, descriptor: Option<OwnedFd>) {
        if self.is_unreachable.get() {
            return;
        }
        // Encoding fails only for what is too long, which nothing is: `data` is checked.
        let Ok(packet) = control::encode(message) else { return };
        self.outgoing.borrow_mut().push(packet, descriptor);
        self.flush();
    }

    /// Tells it what is counted from now on.
    pub(super) fn begin_to_count(&self) {
        *self.carrier.borrow_mut() = Some(Carrier::default());
    }

    /// Sends what has been counted since the last time.
    pub(super) fn send_counted(&self, counters: &Counters, board: &Board) {
        let mut carrier = self.carrier.borrow_mut();
        let carried = carrier.as_mut().map(|it| it.carried(counters, board));
        for counted in carried.unwrap_or_default() {
            self.send(&ToSuccessor::Counted(counted), None);
        }
    }

    /// Sends a connection.
    pub(super) fn forward(&self, listener: ListenerId, connection: OwnedFd, how: Forwarded) {
        let message = match how {
            Forwarded::New { prefers_http } => ToSuccessor::Connection { listener, prefers_http },
            Forwarded::Idle { left } => {
                let left = left.map(|it| u32::try_from(it.as_millis()).unwrap_or(u32::MAX));
                ToSuccessor::Parked { listener, left }
            }
        };
        self.send(&message, Some(connection));
    }

    /// When to [`flush`](Self::flush), at the earliest, if something waits for room.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        (!self.outgoing.borrow().is_empty()).then(|| self.flush.get())
    }

    /// Sends what waits, until the lane is full.
    pub(super) fn flush(&self) {
        let flushed = self.outgoing.borrow_mut().flush(&self.lane);
        // Descriptors of what was sent are free again.
        self.reserve.borrow_mut().refill();
        match flushed {
            Ok(()) => {}
            Err(Failure::WouldBlock) => {
                // The runtime believes it writable until it is shown otherwise.
                let blocked = |_: &OwnedFd| Err::<(), _>(std::io::ErrorKind::WouldBlock.into());
                let _ = self.lane.try_io(Interest::WRITABLE, blocked);
            }
            // Nothing tells when it is over.
            Err(Failure::Shortage(_)) => self.flush.set(Instant::now() + SHORTAGE_PAUSE),
            Err(Failure::Gone | Failure::Fault(_)) => self.is_unreachable.set(true),
        }
        self.changed.notify_one();
    }

    /// Whether it gets nothing any more.
    pub(super) fn is_unreachable(&self) -> bool {
        self.is_unreachable.get()
    }

    /// It has ended: what waits for it is of no use any more.
    pub(super) fn lose(&self) {
        self.is_unreachable.set(true);
        *self.outgoing.borrow_mut() = Packets::default();
    }

    /// It serves: there is no way back.
    pub(super) fn set_serving(&self) {
        self.state.set(State::Serving);
    }

    fn abandon(&self) {
        if self.state.get() == State::GettingReady {
            self.state.set(State::Abandoned);
            // Its task waits for its end.
            let _ = self.process.signal_group(libc::SIGKILL);
            self.changed.notify_one();
        }
    }

    /// Whether it is to end.
    pub(super) fn is_abandoned(&self) -> bool {
        self.state.get() == State::Abandoned
    }

    /// It is to stop, as this primary does.
    pub(super) fn stop(&self) {
        // It fails for one that has ended.
        let _ = self.process.signal(libc::SIGTERM);
    }

    /// All has come here that it is to get: its task sends the last.
    pub(super) fn end(&self) {
        self.state.set(State::Ending(Instant::now() + ENDING));
        self.changed.notify_one();
    }

    /// While it gets the last: until when that is waited for.
    pub(super) fn ending(&self) -> Option<Instant> {
        match self.state.get() {
            State::Ending(until) => Some(until),
            State::GettingReady | State::Abandoned | State::Serving => None,
        }
    }

    /// Whether it has everything that it is to get, as far as that is possible.
    pub(super) fn has_everything(&self, now: Instant) -> bool {
        let is_sent = self.outgoing.borrow().is_empty();
        self.ending().is_some_and(|until| is_sent || until <= now)
    }
}

use std::{
    cell::{Cell, RefCell},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    task::yield_now,
};

use super::{
    super::{
        core::{
            listener::{Delivery, Listener},
            state::Core,
            stats::Counters,
            supervise::report::{Ended, Report},
        },
        inherit::Inherited,
        messages::{Emit, Event, RunOptions, Settings},
        operator::{board::SharedBoard, record::End},
    },
    accept_guard::AcceptGuard,
    debug_log::DebugLog,
    engine_driver::EngineDriver,
    fd_store::FdStore,
    listening_socket::ListeningSocket,
    pace::Pace,
    primaries::Primaries,
    reading::now,
    successor::Succession,
    supervision::Supervision,
    ticket_keys::SharedTicketKeys,
};
use crate::{
    error::Error,
    protocol::{ListenerId, WorkerId, control::Target, upgrade::TicketKey},
    sys::{
        BatchScheduling, cpu_time_of, exit::Exit, listen::SPREADS_CONNECTIONS, reserve::Reserve,
        signal_name,
    },
};

/// Turns of this thread after which all has been read that was there before.
const TURNS: usize = 3;

/// A worker that has lost its own socket of a listener.
pub(super) type LostSocket = (ListenerId, WorkerId);

/// What the tasks of the engine's thread share.
pub(super) struct Context {
    core: RefCell<Core<EngineDriver>>,
    emit: Emit,
    log: DebugLog,
    pub(super) reserve: Rc<RefCell<Reserve>>,
    /// Tells that a listening socket is closed, or that a worker has closed its descriptor of one.
    pub(super) released: Rc<Notify>,
    pub(super) guard: Rc<AcceptGuard>,
    /// How fast connections come, and the scheduling class of this thread, which depends on it.
    pace: RefCell<Pace>,
    batch: BatchScheduling,
    pub(super) supervision: Rc<RefCell<Option<Supervision>>>,
    /// Sockets that come from elsewhere.
    pub(super) inherited: Rc<RefCell<Inherited>>,
    /// Where the service manager stores sockets, if it does.
    pub(super) store: Rc<RefCell<Option<Rc<FdStore>>>>,
    /// The lane to the primary whose place this one takes, until that is done.
    pub(super) predecessor: RefCell<Option<Rc<OwnedFd>>>,
    /// Tells that another primary serves in the place of this one.
    pub(super) handing_over: Notify,
    /// Tells that the workers of a primary that stands by are well, or all workers are ready for the first time, or have
    /// ended.
    pub(super) prepared: Rc<Notify>,
    /// What is about to take over from this primary.
    pub(super) succession: Rc<RefCell<Succession>>,
    /// What is counted.
    pub(super) counters: Arc<Counters>,
    /// What operators see.
    pub(super) board: SharedBoard,
    /// How the supervised program is run.
    pub(super) run: RefCell<RunOptions>,
    /// Which primaries were before this one, and come after it.
    pub(super) primaries: RefCell<Primaries>,
    /// The keys of TLS session tickets.
    pub(super) shared_ticket_keys: Rc<SharedTicketKeys>,
    /// Where workers get another socket.
    lost_sockets: UnboundedSender<LostSocket>,
    /// Tells that the next deadline of the core is sooner than the one that is waited for.
    pub(super) sooner: Notify,
    /// The deadline that is waited for.
    pub(super) awaited: Cell<Option<Instant>>,
}

impl Context {
    pub(super) fn new(
        settings: Settings,
        emit: Emit,
        reserve: Reserve,
        counters: Arc<Counters>,
        board: SharedBoard,
        lost_sockets: UnboundedSender<LostSocket>,
    ) -> Self {
        let log = DebugLog::new(settings.debug_log);
        let driver = EngineDriver::new(log, Arc::clone(&emit), reserve, Arc::clone(&board));
        let (reserve, released) = (Rc::clone(&driver.reserve), Rc::clone(&driver.released));
        let guard = Rc::clone(&driver.guard);
        let supervision = Rc::clone(&driver.supervision);
        let (inherited, store) = (Rc::clone(&driver.inherited), Rc::clone(&driver.store));
        let prepared = Rc::clone(&driver.prepared);
        let succession = Rc::clone(&driver.succession);
        let scheduling = settings.scheduling.available(SPREADS_CONNECTIONS);
        Self {
            core: RefCell::new(Core::new(driver, scheduling, Arc::clone(&counters))),
            emit,
            log,
            reserve,
            released,
            guard,
            pace: RefCell::new(Pace::new(Instant::now())),
            batch: BatchScheduling::of_this_thread(),
            supervision,
            inherited,
            store,
            predecessor: RefCell::default(),
            handing_over: Notify::new(),
            prepared,
            succession,
            counters,
            board,
            run: RefCell::default(),
            primaries: RefCell::default(),
            shared_ticket_keys: Rc::new(SharedTicketKeys::new(settings.ticket_key_period, log)),
            lost_sockets,
            sooner: Notify::new(),
            awaited: Cell::new(None),
        }
    }

    /// A connection has been accepted. While many are, one wake-up of this thread hands over several of them,
    /// because the thread lets others finish their turns first.
    pub(super) fn note_accepted(&self, now: Instant) {
        self.batch.set(self.pace.borrow_mut().accepted(now));
    }

    /// Lets the core decide something. Calls wait for no peer; binding a path waits for its file system,
    /// and an accept that a worker makes wait is ended by the accept guard.
    pub(super) fn decide<T>(&self, decide: impl FnOnce(&mut Core<EngineDriver>) -> T) -> T {
        let mut core = self.core.borrow_mut();
        let decided = decide(&mut core);
        if let Some(next) = core.next_deadline()
            && self.awaited.get().is_none_or(|awaited| next < awaited)
        {
            self.awaited.set(Some(next));
            self.sooner.notify_one();
        }
        decided
    }

    /// Asks the core.
    pub(super) fn ask<T>(&self, ask: impl FnOnce(&Core<EngineDriver>) -> T) -> T {
        ask(&self.core.borrow())
    }

    /// Has the service manager store a listening socket, if it does that.
    pub(super) fn keep(&self, socket: &ListeningSocket) {
        if let Some(store) = &*self.store.borrow() {
            socket.keep_in(store);
        }
    }

    /// Whether the service manager may be about to close a socket that it had stored.
    pub(super) fn is_releasing(&self) -> bool {
        self.store.borrow().as_ref().is_some_and(|store| store.is_releasing())
    }

    /// Leaves what the service manager stores to the next primary.
    pub(super) fn leave_stored(&self) {
        self.each_socket(|_, socket| socket.leave_stored());
        if let Some(store) = &*self.store.borrow() {
            store.be_silent();
        }
    }

    /// This process has taken the place of the other primary: what workers serve is its own from now on.
    pub(super) fn own_inherited(&self) {
        self.inherited.borrow_mut().commit();
        self.each_socket(|listener, socket| {
            socket.own();
            if !matches!(listener.query.target, Target::Descriptor { .. }) {
                self.keep(socket);
            }
        });
    }

    /// The other primary has ended: closes what it has offered and no worker here has asked for.
    pub(super) fn close_upgraded(&self) {
        let names = self.inherited.borrow_mut().close_upgraded();
        if let Some(store) = &*self.store.borrow() {
            names.into_iter().for_each(|name| store.remove(name));
        }
    }

    fn each_socket(&self, mut with: impl FnMut(&Listener<EngineDriver>, &ListeningSocket)) {
        self.ask(|core| {
            for listener in core.listeners() {
                match &listener.delivery {
                    Delivery::Shared(socket) => with(listener, socket),
                    Delivery::Distributed(it) => {
                        it.sockets.iter().for_each(|it| with(listener, &it.socket));
                    }
                }
            }
        });
    }

    /// The keys of TLS session tickets, for the next primary.
    pub(super) fn ticket_keys(&self) -> Vec<TicketKey> {
        self.shared_ticket_keys.offer()
    }

    /// Goes on with the keys of the primary before this one.
    pub(super) fn set_ticket_keys(&self, keys: &[TicketKey]) {
        self.shared_ticket_keys.adopt(keys);
    }

    pub(super) fn emit(&self, event: Event) {
        (self.emit)(event);
    }

    pub(super) fn log(&self) -> DebugLog {
        self.log
    }

    /// Reports that the worker's process has ended, and how many connections that has cut.
    pub(super) fn exited(&self, worker: WorkerId, exit: Option<Exit>, cut: usize) {
        self.log.exit(worker, exit);
        if let Some(supervision) = &mut *self.supervision.borrow_mut() {
            // Until JavaScript hears of the end, the process is a zombie, and its time is known.
            let cpu = supervision.remove_worker(worker).and_then(cpu_time_of);
            let (code, signal) = match exit {
                Some(Exit::Code(code)) => (Some(code), None),
                Some(Exit::Signal(signal)) => (None, Some(signal_name(signal))),
                None => (None, None),
            };
            self.board.exited(worker, End { code, signal, cut, cpu }, now());
        }
        self.emit(Event::Exited { worker, exit, cut });
        let how = match exit {
            Some(Exit::Code(code)) => Ended::Code(code),
            Some(Exit::Signal(signal)) => Ended::Signal(signal),
            None => Ended::Unknown,
        };
        self.send_counted();
        self.decide(|core| core.tell_exited(worker, how, Instant::now()));
    }

    /// Tells the successor what was counted since the last time, if there is one.
    pub(super) fn send_counted(&self) {
        if let Some(successor) = self.succession.borrow().successor() {
            successor.send_counted(&self.counters, &self.board);
        }
    }

    /// Tells the program what happened, and operators.
    pub(super) fn tell(&self, report: Report) {
        if let Some(supervision) = &mut *self.supervision.borrow_mut() {
            supervision.report(report, &self.emit, &self.board);
        }
    }

    /// Reports what a worker did wrong, or why it can't begin.
    pub(super) fn report(&self, worker: WorkerId, error: Error) {
        self.emit(match error {
            Error::Unable(reason) => Event::Unable { worker, reason },
            error => Event::Faulted { worker, error },
        });
    }

    /// Warns the primary of connections that can't be accepted, unless it has just been warned.
    pub(super) fn warn(&self, listener: ListenerId, error: std::io::Error) {
        let address = self.decide(|core| core.warn_of(listener, Instant::now()));
        if let Some(address) = address {
            self.log.write(format_args!("connections to {address} have to wait: {error}"));
            self.emit(Event::Unaccepted { address, error });
        }
    }

    /// Has the worker get another socket of its own, as soon as that is possible.
    pub(super) fn replace_socket(&self, listener: ListenerId, worker: WorkerId) {
        // The receiver is there as long as this thread runs.
        let _ = self.lost_sockets.send((listener, worker));
    }
}

/// Waits until all has been read that was there before.
pub(super) async fn all_read() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

use std::{
    cell::{Cell, RefCell},
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
        core::{state::Core, stats::Counters, supervise::report::Ended},
        messages::{Emit, Event, RunOptions, Settings},
        operator::{board::SharedBoard, record::End},
    },
    accept_guard::AcceptGuard,
    debug_log::DebugLog,
    engine_driver::EngineDriver,
    primaries::Primaries,
    reading::now,
    successor::Succession,
    supervision::Supervision,
};
use crate::{
    error::Error,
    protocol::{ListenerId, WorkerId},
    sys::{cpu_time_of, exit::Exit, listen::SPREADS_CONNECTIONS, reserve::Reserve, signal_name},
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
    pub(super) supervision: Rc<RefCell<Option<Supervision>>>,
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
        let succession = Rc::clone(&driver.succession);
        let scheduling = settings.scheduling.available(SPREADS_CONNECTIONS);
        Self {
            core: RefCell::new(Core::new(driver, scheduling, Arc::clone(&counters))),
            emit,
            log,
            reserve,
            released,
            guard,
            supervision,
            succession,
            counters,
            board,
            run: RefCell::default(),
            primaries: RefCell::default(),
            lost_sockets,
            sooner: Notify::new(),
            awaited: Cell::new(None),
        }
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
        self.decide(|core| core.tell_exited(worker, how, Instant::now()));
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

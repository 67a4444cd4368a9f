use std::{
    mem::take,
    os::fd::OwnedFd,
    sync::{
        Arc, OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedSender, error::SendError, unbounded_channel},
};

use super::{
    core::{
        drain::DrainOptions,
        stats::{Counters, Stats},
        supervise::{options::SuperviseOptions, report::Token},
    },
    driver::{
        self, Equipment,
        reading::{now, read_use},
    },
    forker::{Done, Forker, OutputRelay},
    inherit::{
        Inherited, InheritedListener, Source,
        takeover::{self, Address, Predecessor, Takeover, TakeoverError},
    },
    messages::{Command, Emit, Event, OperatorOrder, Order, RunOptions, Settings, Supervise},
    operator::{
        board::SharedBoard,
        identity::{Identity, Program},
        snapshot::Snapshot,
        sockets::OperatorSockets,
        status::{Audience, status_json},
    },
    recipe::Recipe,
    worker_ids::WorkerIds,
};
use crate::{
    error::{Error, Result},
    protocol::{
        WorkerId,
        upgrade::{Listener, OperatorKind},
    },
    sys::{reserve::Reserve, watched::NEW_WATCH},
};

/// How long a caller waits for the thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// The primary whose place this one is to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Which one.
    pub predecessor: Predecessor,
    /// The path of its control socket, if there is one.
    pub control: Option<String>,
    /// The address of its admin endpoint, if there is one.
    pub admin: Option<String>,
}

/// The engine of one primary. Dropping it ends the thread, which closes all it holds.
pub struct Engine {
    emit: Emit,
    /// What the thread will take with it. Its descriptors are opened early, so that a fork can't fail for
    /// want of them.
    prepared: Option<(Runtime, Reserve)>,
    /// What the thread counts.
    counters: Arc<Counters>,
    /// Where the thread shows the state of supervision.
    board: SharedBoard,
    /// Where the thread takes commands from, once it runs.
    commands: Option<UnboundedSender<Command>>,
    ids: WorkerIds,
    /// Where operators will ask, bound before supervision begins.
    sockets: OperatorSockets,
    /// Sockets that come from elsewhere, until supervision begins.
    inherited: Inherited,
    /// What copies the output of supervised workers.
    output: OnceLock<Arc<OutputRelay>>,
    /// The primary whose place this one is to take, if there is one, before supervision begins.
    takeover: Option<Takeover>,
}

impl Engine {
    /// Prepares an engine that reports to `emit`, which must not block.
    pub fn new(emit: impl Fn(Event) + Send + Sync + 'static) -> Self {
        // Where it fails, `start` tries again, and says why it can't.
        Self {
            emit: Arc::new(emit),
            prepared: prepare().ok(),
            counters: Arc::default(),
            board: SharedBoard::default(),
            commands: None,
            ids: WorkerIds::default(),
            sockets: OperatorSockets::default(),
            inherited: Inherited::default(),
            output: OnceLock::new(),
            takeover: None,
        }
    }

    /// Receives what the primary before this one offers, if this process was started to take its place; blocks until
    /// it has. Before operators' sockets are bound, and supervision begins.
    ///
    /// # Errors
    /// When that primary offers nothing, not everything, or something else.
    pub fn take_over(
        &mut self,
        version: &str,
        node: &str,
    ) -> std::result::Result<Option<Offered>, TakeoverError> {
        let Some(lane) = takeover::claimed() else { return Ok(None) };
        self.take_over_from(lane, version, node, takeover::PATIENCE).map(Some)
    }

    /// As [`take_over`](Self::take_over), by this lane.
    ///
    /// # Errors
    /// As there.
    pub fn take_over_from(
        &mut self,
        lane: OwnedFd,
        version: &str,
        node: &str,
        within: Duration,
    ) -> std::result::Result<Offered, TakeoverError> {
        let offer = takeover::receive_offer(lane, version, node, within)?;
        let address = |kind| {
            let mut operators = offer.operators.iter();
            operators.find(|it| it.kind == kind).map(|it| it.address.clone())
        };
        let offered = Offered {
            predecessor: offer.predecessor.clone(),
            control: address(OperatorKind::Control),
            admin: address(OperatorKind::Admin),
        };
        self.sockets.offer(offer.operators);
        let addresses = offer.listeners.iter().map(|(it, _)| {
            let (query, bound) = (it.query.clone(), it.address.clone());
            (it.listener, Address { query, bound, is_unserved: it.is_unserved })
        });
        self.takeover = Some(Takeover {
            lane: offer.lane,
            predecessor: offer.predecessor,
            addresses: addresses.collect(),
            ticket_keys: offer.ticket_keys,
            counted: offer.counted,
            parent: offer.parent,
        });
        for (listener, sockets) in offer.listeners {
            let Listener { listener, query, address, data, has_file, is_activated, .. } = listener;
            let source = Source::Upgraded { listener, has_file, is_activated };
            let query = Some(query);
            self.inherited.add(InheritedListener { source, query, address, data, sockets });
        }
        Ok(offered)
    }

    /// The place of the primary before this one is not to be taken, for this reason, so that one goes on. Does nothing
    /// once it is taken.
    pub fn take_over_failed(&mut self, reason: &str) {
        let offered = self.takeover.take().map(|takeover| takeover.lane);
        match offered.or_else(takeover::claimed) {
            Some(lane) => takeover::send_failed(&lane, reason),
            None => {
                let reason = reason.to_owned();
                // Without its thread the engine takes no place.
                let _ = self.send_and_wait(|done| Command::TakeOverFailed(reason, done));
            }
        }
    }

    /// Starts the thread; once it runs, does nothing. Where it fails it may be tried again.
    ///
    /// # Errors
    /// When the process can have no more descriptors, or threads.
    pub fn start(&mut self, settings: Settings) -> Result<()> {
        if self.commands.is_some() {
            return Ok(());
        }
        let (runtime, reserve) = self.prepared.take().map_or_else(prepare, Ok)?;
        let (commands, receiver) = unbounded_channel();
        let emit = Arc::clone(&self.emit);
        let counters = Arc::clone(&self.counters);
        let board = Arc::clone(&self.board);
        let equipment = Equipment { settings, emit, reserve, counters, board };
        let run = move || driver::run(&runtime, receiver, equipment);
        thread::Builder::new()
            .name("rs-cluster".into())
            .spawn(run)
            .map_err(Error::system("pthread_create"))?;
        self.commands = Some(commands);
        Ok(())
    }

    /// The id of the next worker, from 1 on.
    pub fn next_id(&self) -> WorkerId {
        self.ids.next()
    }

    /// What is known of connections now: nothing, before [`start`](Self::start). The thread is not asked,
    /// so a busy thread makes no caller wait.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Asks for [`Event::Passed`]; see [`Command::Barrier`]. An engine that does not run has nothing to
    /// close.
    pub fn barrier(&self, token: u32) {
        if self.send(Command::Barrier(token)).is_err() {
            (self.emit)(Event::Passed(token));
        }
    }

    /// Drains a worker, see [`Command::Drain`]: when this returns, it gets no more connections, unless the
    /// thread is too busy to say so in time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn drain(&self, worker: WorkerId, options: DrainOptions) -> Result<()> {
        self.send_and_wait(|done| Command::Drain { worker, options, done })
    }

    /// Keeps a program's slots filled with workers; [`status`](Self::status) knows of them when this returns. Workers
    /// are started by a thread that this one starts, so that they have its scheduling class.
    ///
    /// # Errors
    /// As [`start`](Self::start), which has to come first.
    pub fn supervise(
        &mut self,
        options: SuperviseOptions,
        run: RunOptions,
        recipe: Recipe,
        program: Program,
    ) -> Result<()> {
        let sockets = take(&mut self.sockets);
        let commands = self.commands.as_ref().ok_or(Error::Stopped)?.downgrade();
        let forker = Forker::start(move |done| {
            let command = match done {
                Done::Worker(worker, started) => Command::Forked(worker, started),
                Done::Primary(started) => Command::SuccessorStarted(started),
            };
            // Without the engine, the process has no other end.
            let Some(commands) = commands.upgrade() else {
                return end(command);
            };
            if let Err(SendError(command)) = commands.send(command) {
                end(command);
            }
        })?;
        self.output.get_or_init(|| forker.output());
        let (recipe, ids) = (Arc::new(recipe), self.ids.clone());
        let Program { name, node } = program;
        let identity = Arc::new(Identity {
            name,
            node,
            control: sockets.control_path(),
            admin: sockets.admin_address(),
            started: SystemTime::now(),
            since: Instant::now(),
        });
        let (inherited, takeover) = (take(&mut self.inherited), self.takeover.take());
        self.send_and_wait(|done| {
            Command::Supervise(Box::new(Supervise {
                options,
                run,
                recipe,
                forker,
                ids,
                identity,
                inherited,
                sockets,
                takeover,
                done,
            }))
        })
    }

    /// Where operators will ask, to be bound before [`supervise`](Self::supervise).
    pub fn sockets(&mut self) -> &mut OperatorSockets {
        &mut self.sockets
    }

    /// Sockets that come from elsewhere, for the workers that [`supervise`](Self::supervise) starts.
    pub fn inherited(&mut self) -> &mut Inherited {
        &mut self.inherited
    }

    /// The program is about to do what an operator has asked for. Returns whether the operator still waits.
    pub fn take(&self, token: Token) -> bool {
        let (done, is_awaited) = sync_channel(1);
        self.send(Command::Operator(OperatorOrder::Take(token, done))).is_ok()
            && is_awaited.recv_timeout(PATIENCE).unwrap_or(false)
    }

    /// Waits until all that supervised workers have written by now to what the engine copies is written, but no longer than `timeout`. Returns whether it is.
    pub fn flush_output(&self, timeout: Duration) -> bool {
        self.output.get().is_none_or(|relay| relay.flush(timeout))
    }

    /// What is known of supervision as JSON, if it has begun. The thread is not asked.
    pub fn status(&self) -> Option<String> {
        self.snapshot().map(|it| status_json(&it, Audience::Owner))
    }

    /// All that operators may see now, if supervision has begun. The thread is not asked.
    pub fn snapshot(&self) -> Option<Snapshot> {
        read_use(&self.board);
        self.board.snapshot(&self.counters, now())
    }

    /// Whether a worker is ready whose event loop turns, and the supervisor does not stop.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> std::result::Result<(), &'static str> {
        self.board.readiness(&self.counters)
    }

    /// The program is about to end this worker itself: supervision knows that when this returns, unless the
    /// thread is too busy.
    pub fn leaves(&self, worker: WorkerId) {
        // Without its thread the engine supervises nothing.
        let _ = self.send_and_wait(|done| Command::Supervision(Order::Leaves(worker, done)));
    }

    /// Ends other primaries than the last that has followed this one, because this process is about to end by a signal.
    pub fn end_others(&self) {
        // Without its thread there are none.
        let _ = self.send_and_wait(Command::EndOthers);
    }

    /// Sends a command, and waits until the thread has carried it out, or is too busy.
    fn send_and_wait(&self, command: impl FnOnce(SyncSender<()>) -> Command) -> Result<()> {
        let (done, is_done) = sync_channel(1);
        self.send(command(done))?;
        // The thread waits for no peer, so this takes microseconds.
        let _ = is_done.recv_timeout(PATIENCE);
        Ok(())
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`Error::Stopped`], before [`start`](Self::start) too.
    pub fn send(&self, command: Command) -> Result<()> {
        let commands = self.commands.as_ref().ok_or(Error::Stopped)?;
        commands.send(command).map_err(|_| Error::Stopped)
    }
}

/// Ends a process that was started in vain.
fn end(started: Command) {
    match started {
        Command::Forked(_, Ok(started)) => started.forked.adopted.process.end(),
        Command::SuccessorStarted(Ok(started)) => started.process.end(),
        _ => {}
    }
}

fn prepare() -> Result<(Runtime, Reserve)> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    Ok((runtime.map_err(Error::system(NEW_WATCH))?, Reserve::default()))
}

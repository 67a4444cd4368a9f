use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::{
    driver,
    fork::Adopted,
    state::State,
    stats::{Counters, Stats},
    suspicion::{LOYAL_SUSPICION, SUSPICION},
};
use crate::{
    error::{Error, Result},
    protocol::WorkerId,
    scheduler::{LeastConnections, Policy, RoundRobin, SourceHash},
    sys::{exit::Exit, listen::SPREADS_CONNECTIONS, reserve::Reserve, watched::NEW_WATCH},
};

/// What JavaScript tells the engine.
#[derive(Debug)]
pub enum Command {
    /// Look after this new worker.
    Adopt(Adopted),
    /// Give this worker no more connections, and those it has not taken to others.
    Retire(WorkerId),
    /// The worker's channel is closed: as [`Command::Retire`], and answer with [`Event::Left`] when all
    /// that this worker was the last to serve is closed.
    Leave(WorkerId),
    /// Give this worker no more connections until [`Command::Resume`], and those it has not taken to
    /// others.
    Pause(WorkerId),
    /// Let this worker have connections again.
    Resume(WorkerId),
    /// Close what waits for a worker to come, and answer with [`Event::Settled`] when all commands
    /// before this one are done, and all sockets they closed are closed.
    Settle(u32),
}

/// What the engine tells JavaScript.
#[derive(Debug)]
pub enum Event {
    /// The worker's process has ended, and is a zombie until JavaScript reaps it; nothing else of it is open
    /// any more.
    Exited {
        /// Which one.
        worker: WorkerId,
        /// How; `None` when somebody else reaped it, as happens when `SIGCHLD` is ignored.
        exit: Option<Exit>,
    },
    /// [`Command::Leave`] is done.
    Left(WorkerId),
    /// [`Command::Settle`] was reached.
    Settled(u32),
    /// Connections can't be accepted now, and wait in the kernel's backlog. Said at most once a minute
    /// for each listener.
    Unaccepted {
        /// The address of the listener, for people.
        address: String,
        /// Why, above all `EMFILE`.
        error: io::Error,
    },
    /// The worker broke the protocol. It is retired and not listened to any more.
    Faulted {
        /// Which one.
        worker: WorkerId,
        /// What it did.
        error: Error,
    },
    /// The worker has disconnected, and does not exit. Said once.
    Staying(WorkerId),
    /// The worker can't load the addon, and exits.
    Unable {
        /// Which one.
        worker: WorkerId,
        /// Why, in its words.
        reason: String,
    },
}

/// How connections get to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// Each worker accepts from the shared socket: `SCHED_NONE`.
    Shared,
    /// The engine accepts and hands over, to workers in turn: `SCHED_RR`.
    RoundRobin,
    /// As that, to the worker with the fewest open connections: `SCHED_LEAST_CONNECTIONS`.
    LeastConnections,
    /// As that, to the worker of the client's address: `SCHED_SOURCE_HASH`.
    SourceHash,
    /// Each worker accepts from a socket of its own, and the engine for those that can't:
    /// `SCHED_REUSEPORT`. As `RoundRobin` where there is no port, or the kernel does not spread
    /// connections.
    ReusePort,
}

impl Scheduling {
    /// By its number in JavaScript.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Shared),
            2 => Some(Self::RoundRobin),
            3 => Some(Self::LeastConnections),
            4 => Some(Self::SourceHash),
            5 => Some(Self::ReusePort),
            _ => None,
        }
    }

    /// What the kernel can do of it: with sockets that share a port where connections are not spread,
    /// one worker would get all.
    pub(super) fn available(self) -> Self {
        match self {
            Self::ReusePort if !SPREADS_CONNECTIONS => Self::RoundRobin,
            scheduling => scheduling,
        }
    }

    /// A policy for one listener, unless the workers accept themselves.
    pub(super) fn policy(self) -> Option<Box<dyn Policy>> {
        match self {
            Self::Shared => None,
            Self::RoundRobin | Self::ReusePort => Some(Box::<RoundRobin>::default()),
            Self::LeastConnections => Some(Box::<LeastConnections>::default()),
            Self::SourceHash => Some(Box::<SourceHash>::default()),
        }
    }

    /// How long connections wait for a worker that takes none, before it is suspected to be stuck.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::SourceHash => LOYAL_SUSPICION,
            _ => SUSPICION,
        }
    }
}

/// What is fixed when the engine starts.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The policy of all listeners.
    pub scheduling: Scheduling,
    /// Whether to tell on stderr what happens (`NODE_DEBUG=cluster`).
    pub story: bool,
}

/// Where events go; called on the engine thread.
pub(super) type Emit = Arc<dyn Fn(Event) + Send + Sync>;

/// The engine of one primary. Dropping it ends the thread, which closes all it holds.
pub struct Engine {
    emit: Emit,
    /// What the thread will take with it. Its descriptors are opened early, so that a fork can't fail for
    /// want of them.
    prepared: Option<(Runtime, Reserve)>,
    /// What the thread counts.
    counters: Arc<Counters>,
    /// Where the thread takes commands from, once it runs.
    commands: Option<UnboundedSender<Command>>,
}

impl Engine {
    /// Prepares an engine that reports to `emit`, which must not block.
    pub fn new(emit: impl Fn(Event) + Send + Sync + 'static) -> Self {
        // Where it fails, `start` tries again, and says why it can't.
        Self {
            emit: Arc::new(emit),
            prepared: prepare().ok(),
            counters: Arc::default(),
            commands: None,
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
        let run = move || {
            driver::run(&runtime, receiver, State::new(settings, emit, reserve, counters));
        };
        thread::Builder::new()
            .name("rs-cluster".into())
            .spawn(run)
            .map_err(Error::system("pthread_create"))?;
        self.commands = Some(commands);
        Ok(())
    }

    /// What is known of connections now: nothing, before [`start`](Self::start). The thread is not asked,
    /// so however busy it is, nobody waits for it.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Asks for [`Event::Settled`]; see [`Command::Settle`]. An engine that does not run has nothing to
    /// close.
    pub fn settle(&self, token: u32) {
        if self.send(Command::Settle(token)).is_err() {
            (self.emit)(Event::Settled(token));
        }
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

fn prepare() -> Result<(Runtime, Reserve)> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    Ok((runtime.map_err(Error::system(NEW_WATCH))?, Reserve::default()))
}

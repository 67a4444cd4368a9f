//! What JavaScript and the engine's thread tell each other.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use super::{
    core::{
        drain::DrainOptions,
        supervise::{
            options::SuperviseOptions,
            report::{Generation, Report, SlotNumber, Token},
        },
    },
    fork::Adopted,
    forker::Forker,
    inherit::{Inherited, takeover::Takeover},
    operator::{identity::Identity, sockets::OperatorSockets},
    primary_recipe::{PrimaryRecipe, StartedPrimary},
    recipe::{Recipe, Started},
    worker_ids::WorkerIds,
};
use crate::{
    error::{Error, Result},
    ipc::Channel,
    protocol::WorkerId,
    scheduler::Scheduling,
    sys::exit::{Exit, Process},
};

/// What JavaScript tells the engine.
pub enum Command {
    /// Look after this new worker.
    Adopt(Adopted),
    /// Give this worker no more connections, and those that it has not taken to others.
    Withdraw(WorkerId),
    /// The worker's channel is closed: as [`Command::Withdraw`], and answer with [`Event::Left`] when all
    /// that this worker was the last to serve is closed.
    Leave(WorkerId),
    /// As [`Command::Withdraw`], and have the worker finish what it has, then exit; end it when its time is
    /// over. A worker that drains already gets the shorter time.
    Drain {
        /// Which one.
        worker: WorkerId,
        /// How.
        options: DrainOptions,
        /// Is told when the worker gets no more connections.
        done: SyncSender<()>,
    },
    /// Give this worker no more connections until [`Command::Resume`], and those that it has not taken to
    /// others.
    Pause(WorkerId),
    /// Give this worker connections again.
    Resume(WorkerId),
    /// Keep a program's slots filled with workers.
    Supervise(Box<Supervise>),
    /// A worker that the engine wanted to be started has been started, or could not be.
    Forked(WorkerId, Result<Box<Started>>),
    /// The primary that is to take over has been started, or could not be.
    SuccessorStarted(Result<StartedPrimary>),
    /// What the program wants of supervision.
    Supervision(Order),
    /// What the program says about something that operators want of it.
    Operator(OperatorOrder),
    /// The place of the primary before this one is not to be taken, for this reason. The sender is told when that is
    /// done.
    TakeOverFailed(String, SyncSender<()>),
    /// Pass this signal on to the primary that has followed this one.
    SignalSuccessor(i32),
    /// End other primaries than the last that has followed this one: that which is about to, and those that drain. The
    /// sender is told when they have got the signals.
    EndOthers(SyncSender<()>),
    /// Close what waits for a worker to come, and answer with [`Event::Passed`] and this token when all
    /// commands before this one are done, and all sockets that they closed are closed.
    Barrier(u32),
}

/// All that it takes to supervise a program.
pub struct Supervise {
    /// How.
    pub options: SuperviseOptions,
    /// What else there is to do for the program.
    pub run: RunOptions,
    /// By which workers are started.
    pub recipe: Arc<Recipe>,
    /// What starts them.
    pub forker: Forker,
    /// Where their ids come from.
    pub ids: WorkerIds,
    /// Which primary this is.
    pub identity: Arc<Identity>,
    /// Sockets that come from elsewhere.
    pub inherited: Inherited,
    /// Where operators ask.
    pub sockets: OperatorSockets,
    /// The primary whose place this one is to take, if there is one.
    pub(super) takeover: Option<Takeover>,
    /// Told when it has begun, and its status can be read.
    pub done: SyncSender<()>,
}

/// How a supervised program is run, apart from the rules of supervision.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Whether none of the addresses that workers ask for is bound.
    pub rehearses: bool,
    /// Whether to reap processes that are left to this one.
    pub reaps_orphans: bool,
    /// The service manager that wants to be told what happens.
    pub systemd: Option<NotifySocket>,
}

/// Where a service manager listens.
#[derive(Debug, Clone)]
pub struct NotifySocket {
    /// A path, or an abstract name after `@`.
    pub name: String,
    /// How long it waits for a sign of life; `None` for ever.
    pub watchdog: Option<Duration>,
    /// How many descriptors it stores.
    pub stores: usize,
}

/// What the program wants of supervision. A token is for the [`Report`] that answers.
#[derive(Debug)]
pub enum Order {
    /// Replace all workers by those of this recipe.
    Reload(Token, Arc<Recipe>),
    /// Have so many slots.
    Scale(Token, u32),
    /// Replace the worker of this slot, or with this id.
    Restart(Token, u32),
    /// Have another primary take over, which is started by this recipe and has so much time to get ready.
    Upgrade(Token, Arc<PrimaryRecipe>, Duration),
    /// Start nothing in the place of workers that end.
    Hold,
    /// Start workers again.
    Release,
    /// After this delay, drain all workers within the timeout.
    Stop {
        /// For the answer.
        token: Token,
        /// How long to go on before.
        delay: Duration,
        /// How long workers have then.
        timeout: Duration,
    },
    /// The program itself ends this worker. The sender is told when that is known.
    Leaves(WorkerId, SyncSender<()>),
}

/// What the program says about something that operators want of it.
#[derive(Debug)]
pub enum OperatorOrder {
    /// It begins with what an operator has asked for ([`Event::Asked`]). The sender is told whether the operator
    /// still waits for it.
    Take(Token, SyncSender<bool>),
    /// Its answer.
    Reply(Token, Reply),
    /// A reload has failed before there was a recipe, for this reason.
    NoReload(String),
}

/// The program's answer to an operator.
#[derive(Debug)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// What the engine tells JavaScript.
#[derive(Debug)]
pub enum Event {
    /// An operator asks for what only the program can do, or is to know of.
    Asked {
        /// For the reply; 0 if none is wanted.
        token: Token,
        /// What, as the path of the request has it.
        operation: &'static str,
        /// What the request says of it: an object, as JSON.
        options: Option<String>,
    },
    /// The process of a supervised worker runs.
    Started {
        /// Which one.
        worker: WorkerId,
        /// Its slot.
        slot: SlotNumber,
        /// Its generation.
        generation: Generation,
        /// Its process.
        process: Arc<Process>,
        /// Our end of its IPC channel.
        channel: Box<Channel>,
        /// Our ends of its pipes, by the numbers of the child's.
        pipes: Vec<Option<OwnedFd>>,
    },
    /// What supervision reports, with the last that the worker wrote to stderr if one has failed.
    Report {
        /// What happened.
        report: Report,
        /// What the worker wrote last.
        stderr: Option<String>,
    },
    /// The worker's process has ended, and is a zombie until JavaScript reaps it; the engine has closed all
    /// that it had of the worker.
    Exited {
        /// Which one.
        worker: WorkerId,
        /// How; `None` when other code reaped it, as happens when `SIGCHLD` is ignored.
        exit: Option<Exit>,
        /// How many connections this has cut, if the worker drained.
        cut: usize,
    },
    /// [`Command::Leave`] is done.
    Left(WorkerId),
    /// [`Command::Barrier`] was reached.
    Passed(u32),
    /// Connections can't be accepted now, and wait in the kernel's backlog. Reported at most once a minute
    /// for each listener.
    Unaccepted {
        /// The address of the listener, for people.
        address: String,
        /// Why, above all `EMFILE`.
        error: io::Error,
    },
    /// The service manager has bound these addresses, and no worker has asked for them. Reported once, when all
    /// workers are ready.
    Unwanted(Vec<String>),
    /// The worker broke the protocol. It gets no more connections, and the engine reads no more requests of
    /// it.
    Faulted {
        /// Which one.
        worker: WorkerId,
        /// What it did.
        error: Error,
    },
    /// The worker has disconnected, and does not exit. Reported once.
    Staying(WorkerId),
    /// The worker can't load the addon, and exits.
    Unable {
        /// Which one.
        worker: WorkerId,
        /// Why, in its words.
        reason: String,
    },
}

/// Where events go; called on the engine's thread.
pub(crate) type Emit = Arc<dyn Fn(Event) + Send + Sync>;

/// What is fixed when the engine starts.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The policy of all listeners.
    pub scheduling: Scheduling,
    /// Whether to report on stderr what happens (`NODE_DEBUG=cluster`).
    pub debug_log: bool,
    /// How long a key of TLS session tickets is the current one.
    pub ticket_key_period: Duration,
}

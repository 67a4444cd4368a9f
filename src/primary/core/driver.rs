//! The driver as the core sees it. The one in `primary::driver` makes system calls; that of the
//! simulation keeps everything in memory.

use core::{net::IpAddr, time::Duration};
use std::{fmt, sync::Arc, time::Instant};

use super::{
    parked::ParkedId,
    stats::{AcceptCounter, Counts, Total, WorkerCounters},
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

/// What the core needs of the thread that it runs on.
pub(crate) trait Driver: Sized {
    /// A connection that the engine has accepted, or taken back.
    type Connection: Connection;
    /// The engine's ends of one worker's lanes.
    type Lanes: Lanes<Connection = Self::Connection, Socket = Self::Socket>;
    /// A listening socket, which a clone does not duplicate.
    type Socket: Socket<Connection = Self::Connection>;
    /// What the driver keeps for each listener.
    type Acceptors: Acceptors<Connection = Self::Connection>;

    /// Writes a line to the debug log.
    fn debug_log(&self, line: fmt::Arguments<'_>);

    /// The successor serves this connection.
    fn forward(&mut self, listener: ListenerId, connection: Self::Connection, how: Forwarded);

    /// Has the process do something that is about to take over, or has.
    fn successor(&self, order: SuccessorOrder);

    /// The core needs the connection no more: closes this process's descriptor of it.
    fn close(&mut self, connection: Self::Connection);

    /// A listening socket is closed, or a worker has closed its descriptor of one.
    fn socket_released(&self);

    /// Starts a worker for this slot by this recipe, and tells the core when it has.
    fn start_worker(&self, id: WorkerId, slot: SlotNumber, recipe: RecipeId);

    /// No worker will be started by this recipe any more.
    fn forget_recipe(&self, recipe: RecipeId);

    /// This primary stands by, and its workers are well.
    fn prepared(&self);

    /// Tells the program what happened.
    fn report(&self, report: Report);

    /// What the program reads at any time.
    fn publish(&self, status: Status);

    /// So much has been counted until now. Told about once a second while workers are looked at.
    fn sample(&self, total: Total, now: Instant);

    /// What to keep for a new listener.
    fn new_acceptors(&self) -> Self::Acceptors;
}

/// A connection.
pub(crate) trait Connection {
    /// Where it comes from; `None` where that is not an internet address. Costs a system call.
    fn source(&self) -> Option<IpAddr>;

    /// What its client has sent that is not read yet. Costs a system call.
    fn received(&self) -> Received;

    /// Ends our side of it. The client sees that after all that was sent.
    fn end(&self);
}

/// A connection that the successor gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// No worker has served it, or one has returned it.
    New {
        /// Whether it was at a worker that serves HTTP.
        prefers_http: bool,
    },
    /// It waits for its client.
    Idle {
        /// For how long the client may expect it to stay open; `None` if that has no end.
        left: Option<Duration>,
    },
}

/// What becomes of the process that is to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SuccessorOrder {
    /// It is started. The core is told when its workers are ready, or that it has failed.
    Start,
    /// It is to serve.
    Commit,
    /// It is ended, with all that it has started.
    Abandon,
    /// It is to stop, as this primary does.
    Stop,
    /// It has been sent everything. The core is told when it has it.
    End,
}

/// What the client of a connection has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Nothing,
    Bytes,
    /// It has closed its side, or reset the connection.
    End,
}

/// A signal that ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// `SIGTERM`.
    Terminate,
    /// `SIGKILL`.
    Kill,
}

/// The engine's ends of one worker's lanes.
pub(crate) trait Lanes {
    type Connection;
    type Socket: Socket;

    /// Puts a connection into the hand-off queue, and counts it there before the worker can see it.
    fn hand_over(&self, listener: ListenerId, connection: &Self::Connection) -> HandOver;

    /// Takes the first connection out of the hand-off queue.
    fn take_back(&self) -> TakenBack<Self::Connection>;

    /// How many connections wait in the hand-off queue, by the kernel. Costs a system call.
    fn queued(&self) -> usize;

    /// The same as [`queued`](Self::queued) by what the worker counts, where it can count: then without a
    /// system call.
    fn waiting(&self) -> usize;

    /// How many connections the worker has, those in the queue among them.
    fn open(&self) -> usize;

    /// How many connections the worker has taken from the queue, or accepted from sockets of its own.
    /// Costs a system call.
    fn taken(&self) -> u64 {
        self.taken_beside(self.queued())
    }

    /// The same, if so many are in the queue.
    fn taken_beside(&self, queued: usize) -> u64;

    /// The same by what the worker counts, from any start: only that it changes says something. `None` where
    /// the worker can't count.
    fn counted(&self) -> Option<u64>;

    /// Whether the worker counts what it takes, in memory that it shares with this process. Only such a
    /// worker can accept from a socket of its own.
    fn has_shared_counters(&self) -> bool;

    /// How many messages this process has sent to the worker.
    fn messages(&self) -> u64;

    /// A counter of what the worker accepts from the socket that it knows by this number.
    fn accept_counter(&self, slot: Option<u8>) -> Arc<dyn AcceptCounter>;

    /// Sends a message, with a socket or without, behind those that wait for room already.
    ///
    /// # Errors
    /// When too many wait.
    fn send(&self, message: &ToWorker, socket: Option<Duplicate<Self>>) -> Result<(), Unread>;

    /// Tells the worker to drain, in place of any such order that it has not read.
    fn send_drain(&self, order: DrainOrder);

    /// Tells the worker whether it may accept from sockets of its own, in place of whatever it was told
    /// about that and has not read.
    fn set_accepting(&self, is_accepting: bool);

    /// How many sockets wait for the worker to read the messages before them.
    fn queued_sockets(&self) -> usize;

    /// Nothing waits for the worker any more, for which something did.
    fn emptied(&self);

    /// The worker accepts from this socket, so what waits there waits for it.
    fn assigned(&self, listener: ListenerId, socket: &Self::Socket);

    /// The worker accepts no more from its sockets of this listener; without one, from all its sockets.
    fn unassigned(&self, listener: Option<ListenerId>);

    /// How many connections are cut when the worker's process ends: those that the worker says are engaged,
    /// and those whose clients have sent something that it had not read when it got a signal.
    fn cut(&self) -> usize;

    /// Sends the worker's process a signal, if that has not ended and may be signalled. A process that is
    /// stuck does not know all that its clients have sent, see [`cut`](Self::cut).
    fn signal(&self, signal: EndSignal, is_stuck: bool);

    /// Asks for the JavaScript stack at which the worker is, unless it has been asked for. Returns whether an
    /// answer may come.
    fn ask_for_stack(&self) -> bool;

    /// A number that changes twice in each turn of the worker's event loop, and is odd while that polls and runs
    /// the callbacks of what it has polled. `None` if the worker does not count turns.
    fn beat(&self) -> Option<u64>;

    /// The processor time that all threads of the worker's process have had; `None` where the kernel does not
    /// say. Costs a system call.
    fn processor_time(&self) -> Option<Duration>;

    /// Whether the worker has a connection at the port of its inspector. Reads tables of all sockets.
    fn has_inspector_client(&self) -> bool;
    /// How many bytes of memory the worker's process has; `None` where the kernel does not say. Costs system
    /// calls.
    fn memory(&self) -> Option<u64>;

    /// How many requests the worker has served, if it counts them, or else how many connections it has taken.
    fn requests(&self) -> u64;

    /// The processor time that the main thread of the worker's process has had; `None` where the kernel does not
    /// say. Costs a few system calls.
    fn main_time(&self) -> Option<Duration>;

    /// How the worker's process gets on; `None` where the kernel does not say. Costs dozens of system calls.
    fn load(&self) -> Option<Load>;
}

/// A listening socket.
pub(crate) trait Socket: Clone {
    type Connection;
    /// A further descriptor of it, for a worker.
    type Duplicate;

    /// Duplicates it.
    ///
    /// # Errors
    /// The negated errno.
    fn duplicate(&self) -> Result<Self::Duplicate, i32>;

    /// Whether it listens: another process that has it may have ended that.
    fn is_listening(&self) -> bool;

    /// Whether this is the number of its descriptor in this process.
    fn is(&self, fd: i32) -> bool;

    /// How many connections wait to be accepted. Costs a system call.
    fn backlog(&self) -> usize;

    /// Accepts what waits, as far as there are descriptors for it; some are left for other purposes. Says
    /// false when there are no more.
    fn accept_backlog(&self, query: &Query, take: &mut dyn FnMut(Self::Connection)) -> bool;

    /// It belongs to another process from now on: closing it ends listening nowhere, and leaves its file.
    fn disown(&self);

    /// Closes it in this process; if `is_last`, it ends listening wherever it is open, unless it belongs to another
    /// process.
    fn close(&self, is_last: bool);
}

/// A duplicate of a listening socket.
pub(crate) type Duplicate<L> = <<L as Lanes>::Socket as Socket>::Duplicate;

/// The tasks that wait at the sockets of one listener.
pub(crate) trait Acceptors {
    type Connection;

    /// Those that accept may find room now, or another acceptor.
    fn notify_room(&self);

    /// Whether the engine or a worker accepts may have changed.
    fn notify_change(&self);

    /// Begins to watch an idle connection, so that `parked_ready` is called when its client sends
    /// something or goes. Returns false if that is not possible now.
    fn watch_parked(&self, id: ParkedId, connection: &Self::Connection) -> bool;

    /// Ends watching it.
    fn unwatch_parked(&self, id: ParkedId, connection: &Self::Connection);

    /// Connections that these acceptors know belong to the listener from now on.
    fn inherit(&mut self, other: Self);
}

/// Whether a worker took a connection into its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// It is in the queue: the worker's, as soon as the worker takes it.
    Done,
    /// No room now; the driver says when there is some.
    Full,
    /// The queue is of no use any more, as the driver is about to report.
    Lost,
}

/// What [`Lanes::take_back`] found.
#[derive(Debug)]
pub(crate) enum TakenBack<C> {
    /// A connection that the worker had of this listener.
    Connection(ListenerId, C),
    /// A connection that the worker had of this listener, which is closed now: there was no descriptor for
    /// it after all.
    Closed(ListenerId),
    /// Nothing waits.
    Nothing,
    /// What waits can't be taken back now, for want of descriptors or memory.
    Later,
}

/// A worker does not read its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread;

/// What the driver brings of a new worker.
pub(crate) struct NewWorker<D: Driver> {
    pub(crate) lanes: D::Lanes,
    /// Its counters, which other threads read as well.
    pub(crate) counters: Arc<WorkerCounters>,
    /// How long connections that it has not taken wait for another worker, if it was the last one of
    /// their address. Then they are closed.
    pub(crate) queue_timeout: Duration,
    /// Whether it runs as another user than this process.
    pub(crate) is_other_user: bool,
}

/// Adds to counts.
pub(crate) type Add = fn(&mut Counts);

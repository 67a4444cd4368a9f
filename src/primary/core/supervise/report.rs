//! What supervision tells the program.

use std::time::Duration;

use crate::protocol::WorkerId;

/// A place for one worker, from 0 on.
pub type SlotNumber = u32;

/// The number of a version of the program, from 1 on.
pub type Generation = u32;

/// Chosen by the program, for the answer to a request.
pub type Token = u32;

/// What the supervisor does as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The first workers are not ready yet.
    Starting,
    /// All slots have workers, or wait for them.
    Ready,
    /// The workers are being replaced by those of another generation.
    Reloading,
    /// Another primary is about to take over.
    Upgrading,
    /// The workers are about to end.
    Stopping,
    /// Every slot has failed too often.
    Failed,
    /// All workers have ended.
    Stopped,
}

/// Why a worker is started, or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is one of the first.
    Start,
    /// A new generation takes over.
    Reload,
    /// A new generation has failed.
    Rollback,
    /// The program wants another worker in this slot.
    Restart,
    /// The program wants more workers, or fewer.
    Scale,
    /// The worker before it has failed.
    Crash,
    /// The worker before it was stuck.
    Hung,
    /// The worker takes too much memory.
    Memory,
    /// The worker has been ready for long enough.
    Age,
    /// The worker has served enough requests.
    Requests,
    /// The program itself ends the worker.
    Ended,
    /// All workers end.
    Stop,
    /// Another primary has taken over.
    Upgrade,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Other code has reaped it.
    Unknown,
}

/// What went wrong with a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its process has ended.
    Exited(Ended),
    /// It was not ready in time. These addresses were missing, if that is what was waited for.
    TimedOut(Vec<String>),
    /// Its process could not be started: the system call, and the errno.
    Fork(&'static str, i32),
    /// Its event loop was stuck.
    Hung,
    /// It took more memory than it may.
    Memory,
    /// It broke the protocol.
    Fault,
    /// The primary before this one broke the protocol between the two, in this way.
    Predecessor(String),
    /// The supervisor stops.
    Stopping,
    /// There is no such worker.
    NoSuchWorker,
    /// Another operation is under way, or the supervisor has failed.
    Busy,
    /// Another primary has taken over.
    Upgraded,
    /// The successor and this primary have no version of the protocol in common, for people.
    NoCommonVersion(String),
    /// The successor has given up, and said why.
    GaveUp(String),
    /// The successor has broken the protocol in this way.
    BrokeProtocol(String),
}

/// How far a worker had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedPhase {
    /// It was not ready yet.
    Start,
    /// The time in which it had to be ready was over.
    Ready,
    /// It was ready, and had to show that it is well.
    Canary,
    /// The workers were being drained.
    Drain,
    /// The successor was started, and had not been offered everything.
    Handshake,
    /// The successor was told to serve.
    Commit,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What went wrong.
    pub cause: Cause,
    /// When.
    pub phase: FailedPhase,
    /// With which worker.
    pub worker: Option<WorkerId>,
    /// In which slot.
    pub slot: Option<SlotNumber>,
}

/// What an operation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// There are so many slots.
    Scaled(u32),
    /// All workers are of this generation, after so long.
    Reloaded(Generation, Duration),
    /// Another primary has taken over.
    Upgraded {
        /// Its process.
        pid: u32,
        /// The generation of its workers.
        generation: Generation,
        /// How long that took.
        time: Duration,
    },
    /// It has failed.
    Rejected(Rejection),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The supervisor does something else than before.
    State(State),
    /// The first workers are ready.
    Ready,
    /// All workers are of another generation.
    Reloaded {
        /// Which one.
        generation: Generation,
        /// How long that took.
        time: Duration,
    },
    /// Another primary has taken over, and all workers of this one leave.
    Upgraded {
        /// Its process.
        pid: u32,
        /// The generation of its workers.
        generation: Generation,
        /// How long that took.
        time: Duration,
        /// Whether this process stays as the parent of the other one.
        stays: bool,
    },
    /// A slot has another worker than before.
    Replaced {
        /// Which one.
        slot: SlotNumber,
        /// Its worker before, if it had one.
        from: Option<WorkerId>,
        /// Its worker now.
        to: WorkerId,
        /// Why.
        reason: Reason,
    },
    /// A slot waits before it gets another worker.
    BackOff {
        /// Which one.
        slot: SlotNumber,
        /// For how long.
        delay: Duration,
        /// How often it has failed.
        failures: u32,
        /// How it has failed this time.
        failure: Rejection,
    },
    /// A worker gets no more connections, and finishes what it has.
    Draining {
        /// Which one.
        worker: WorkerId,
        /// Why.
        reason: Reason,
    },
    /// Every slot has failed too often, the last one like this.
    Failed(Rejection),
    /// A worker has failed while this primary stood by, so it does not take the place of the one before it.
    StandbyFailed(Rejection),
    /// The primary before this one, whose place this one has taken, has sent what is not a message, or does not belong
    /// there.
    PredecessorFaulted(String),
    /// This primary serves in the place of another.
    TakenOver {
        /// The process of the other.
        pid: u32,
        /// The version of its package.
        version: String,
        /// Its version of Node.
        node: String,
    },
    /// A worker's event loop is stuck for so long that the worker is replaced.
    Hung {
        /// Which one.
        worker: WorkerId,
        /// For how long.
        time: Duration,
        /// The JavaScript stack at which it is stuck, as `Error.stack` has it.
        stack: Option<String>,
    },
    /// A worker's event loop has been stuck for a while.
    Blocked {
        /// Which one.
        worker: WorkerId,
        /// For how long.
        time: Duration,
        /// The JavaScript stack at which it is stuck, as `Error.stack` has it.
        stack: Option<String>,
    },
    /// All workers have ended.
    Stopped,
    /// The primary that has followed this one has ended, and so have those that have followed it.
    SuccessorExited(Ended),
    /// The answer to a request.
    Answer(Token, Outcome),
}

//! What the program asks of supervision.

use std::time::Duration;

/// When a worker is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyWhen {
    /// When it listens on the addresses that its generation listens on.
    Listening,
    /// When its program says so.
    Ready,
}

/// How often a slot may fail before it stays empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    /// So often it is started again.
    pub count: u32,
    /// Only failures within this time count; without it, all since a worker of the slot was well.
    pub within: Option<Duration>,
}

/// The options of `cluster.supervise()`.
#[derive(Debug, Clone)]
pub struct SuperviseOptions {
    /// How many slots there are, at least 1.
    pub workers: u32,
    /// When a worker is ready.
    pub ready_when: ReadyWhen,
    /// How long a worker may take until it is ready.
    pub ready_timeout: Duration,
    /// How long the first worker of a new generation has to live, before any other worker is replaced.
    pub min_uptime: Duration,
    /// How many workers may be starting or ready beyond `workers`, while workers are replaced.
    pub max_surge: u32,
    /// How long a worker that leaves has to finish what it has.
    pub drain_timeout: Duration,
    /// How long to go on serving after an operator wants a stop.
    pub shutdown_delay: Duration,
    /// How long a process has after `SIGTERM` before it gets `SIGKILL`.
    pub kill_timeout: Duration,
    /// Whether idle HTTP connections of a worker that leaves go to other workers.
    pub hands_over: bool,
    /// How many generations may have workers, those that drain included.
    pub max_generations: u32,
    /// How long a slot waits after its first failure.
    pub restart_delay: Duration,
    /// How long it waits at most.
    pub max_restart_delay: Duration,
    /// How often it may fail; `None` for any number.
    pub max_restarts: Option<RestartLimit>,
    /// How long an event loop may be stuck before its worker is replaced; `None` for any time.
    pub hung_timeout: Option<Duration>,
    /// How long an event loop may be stuck before that is reported; `None` if it never is.
    pub blocked_timeout: Option<Duration>,
    /// How many bytes of memory a worker may have.
    pub max_memory: Option<u64>,
    /// How long a worker may be ready.
    pub max_age: Option<Duration>,
    /// How many requests a worker may serve.
    pub max_requests: Option<u64>,
    /// By which part at most the three limits above are lower for some workers than for others, so that
    /// workers of the same age do not reach them at the same time: 0 to 1.
    pub jitter: f64,
    /// Where random numbers begin.
    pub seed: u64,
}

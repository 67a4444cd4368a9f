use std::time::Duration;

use napi_derive::napi;

use crate::primary::{
    NotifySocket, RunOptions,
    options::{ReadyWhen, RestartLimit, SuperviseOptions},
};

/// How to supervise. Times are in milliseconds.
#[napi(object, object_to_js = false)]
pub struct EngineSupervise {
    /// How many slots there are.
    pub workers: u32,
    /// When a worker is ready.
    #[napi(ts_type = "'listening' | 'ready'")]
    pub ready_when: String,
    /// How long a worker may take until it is ready.
    pub ready_timeout: u32,
    /// How long the first worker of a generation has to live before others are replaced.
    pub min_uptime: u32,
    /// How many workers may be starting or ready beyond `workers`.
    pub max_surge: u32,
    /// How long a worker that leaves has.
    pub drain_timeout: u32,
    /// How long to go on serving after an operator wants a stop.
    pub shutdown_delay: u32,
    /// How long a process has between `SIGTERM` and `SIGKILL`.
    pub kill_timeout: u32,
    /// Whether idle HTTP connections go to other workers.
    pub hands_over: bool,
    /// How many generations may have workers.
    pub max_generations: u32,
    /// How long a slot waits after its first failure.
    pub restart_delay: u32,
    /// How long it waits at most.
    pub max_restart_delay: u32,
    /// How often a slot may fail; negative for any number.
    pub max_restarts: f64,
    /// Only failures within this time count; 0 for all since a worker was well.
    pub max_restarts_within: u32,
    /// How long an event loop may be stuck before its worker is replaced; 0 for ever.
    pub hung_timeout: u32,
    /// How long an event loop may be stuck before that is reported; 0 for ever.
    pub blocked_timeout: u32,
    /// How many bytes of memory a worker may have; 0 for any number.
    pub max_memory: f64,
    /// How long a worker may be ready; 0 for ever.
    pub max_age: f64,
    /// How many requests a worker may serve; 0 for any number.
    pub max_requests: f64,
    /// By which part these limits differ at most: 0 to 1.
    pub jitter: f64,
    /// Where random numbers begin.
    pub seed: f64,
    /// Whether no address that workers ask for is bound. Default: false.
    pub rehearse: Option<bool>,
    /// Whether to reap processes that are left to this one. Default: false.
    pub reap_orphans: Option<bool>,
    /// Where the service manager wants to be told what happens: a path, or an abstract name after `@`.
    pub notify_socket: Option<String>,
    /// How many milliseconds it waits for a sign of life; absent for ever.
    pub watchdog: Option<f64>,
    /// How many descriptors it stores; absent for none.
    pub stores: Option<u32>,
}

impl EngineSupervise {
    pub(super) fn run(&self) -> RunOptions {
        let watchdog = self.watchdog.filter(|it| *it > 0.0);
        let watchdog = watchdog.and_then(|it| Duration::try_from_secs_f64(it / 1e3).ok());
        let stores = self.stores.map_or(0, |it| it as usize);
        let systemd =
            self.notify_socket.clone().map(|name| NotifySocket { name, watchdog, stores });
        RunOptions {
            rehearses: self.rehearse.unwrap_or(false),
            reaps_orphans: self.reap_orphans.unwrap_or(false),
            systemd,
        }
    }
}

fn milliseconds(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

/// 0 means that there is no limit.
fn limit<T>(value: f64, make: impl Fn(u64) -> T) -> Option<T> {
    // A number that is too large becomes the largest.
    (value > 0.0).then(|| make(value as u64))
}

impl From<EngineSupervise> for SuperviseOptions {
    fn from(options: EngineSupervise) -> Self {
        let within = limit(options.max_restarts_within.into(), Duration::from_millis);
        let count = (options.max_restarts >= 0.0).then_some(options.max_restarts as u32);
        Self {
            workers: options.workers.max(1),
            ready_when: match options.ready_when.as_str() {
                "ready" => ReadyWhen::Ready,
                _ => ReadyWhen::Listening,
            },
            ready_timeout: milliseconds(options.ready_timeout),
            min_uptime: milliseconds(options.min_uptime),
            max_surge: options.max_surge,
            drain_timeout: milliseconds(options.drain_timeout),
            shutdown_delay: milliseconds(options.shutdown_delay),
            kill_timeout: milliseconds(options.kill_timeout),
            hands_over: options.hands_over,
            max_generations: options.max_generations,
            restart_delay: milliseconds(options.restart_delay),
            max_restart_delay: milliseconds(options.max_restart_delay),
            max_restarts: count.map(|count| RestartLimit { count, within }),
            hung_timeout: limit(options.hung_timeout.into(), Duration::from_millis),
            blocked_timeout: limit(options.blocked_timeout.into(), Duration::from_millis),
            max_memory: limit(options.max_memory, |bytes| bytes),
            max_age: limit(options.max_age, Duration::from_millis),
            max_requests: limit(options.max_requests, |count| count),
            jitter: options.jitter.clamp(0.0, 1.0),
            seed: options.seed.to_bits(),
        }
    }
}

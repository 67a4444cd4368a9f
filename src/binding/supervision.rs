use std::time::{Duration, Instant};

use napi_derive::napi;
use serde_json::{Value, json};

use crate::{
    primary::{
        Published,
        options::{ReadyWhen, RestartLimit, SuperviseOptions},
        report::{Cause, Ended, FailedPhase, Outcome, Rejection, Report, State},
        status::{SlotState, SlotStatus},
    },
    sys::memory_of,
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

/// A report as JSON; `stderr` is what the worker wrote last that it is about.
pub(super) fn report_json(report: &Report, stderr: Option<String>) -> String {
    let value = match report {
        Report::State(state) => json!({ "type": "state", "state": state_name(*state) }),
        Report::Ready => json!({ "type": "ready" }),
        Report::Reloaded { generation, time } => {
            json!({ "type": "reload", "generation": generation, "ms": whole(*time) })
        }
        Report::Replaced { slot, from, to, reason } => json!({
            "type": "replace", "slot": slot, "from": from, "to": to, "reason": reason.as_str(),
        }),
        Report::BackOff { slot, delay, failures, failure } => json!({
            "type": "backoff", "slot": slot, "delay": whole(*delay), "failures": failures,
            "failure": rejection_json(failure, stderr),
        }),
        Report::Draining { worker, reason } => {
            json!({ "type": "draining", "worker": worker, "reason": reason.as_str() })
        }
        Report::Failed(rejection) => {
            json!({ "type": "failed", "reason": rejection_json(rejection, stderr) })
        }
        Report::Hung { worker, time, stack } => {
            json!({ "type": "hung", "worker": worker, "ms": whole(*time), "stack": stack })
        }
        Report::Blocked { worker, time, stack } => {
            json!({ "type": "blocked", "worker": worker, "ms": whole(*time), "stack": stack })
        }
        Report::Stopped => json!({ "type": "stopped" }),
        Report::Answer(token, outcome) => return answer_json(*token, outcome, stderr).to_string(),
    };
    value.to_string()
}

fn answer_json(token: u32, outcome: &Outcome, stderr: Option<String>) -> Value {
    let value = match outcome {
        Outcome::Rejected(rejection) => {
            let mut rejected = rejection_json(rejection, stderr);
            rejected["type"] = json!("rejected");
            rejected["token"] = json!(token);
            return rejected;
        }
        Outcome::Done => Value::Null,
        Outcome::Scaled(workers) => json!(workers),
        Outcome::Reloaded(generation, time) => {
            json!({ "generation": generation, "ms": whole(*time) })
        }
    };
    json!({ "type": "done", "token": token, "value": value })
}

fn rejection_json(rejection: &Rejection, stderr: Option<String>) -> Value {
    let Rejection { cause, phase, worker, slot } = rejection;
    let mut value = json!({
        "worker": worker, "slot": slot, "phase": phase_name(*phase), "stderr": stderr,
        "exitCode": null, "signal": null, "errno": null, "syscall": null, "missing": [],
    });
    let what = match cause {
        Cause::Exited(how) => {
            match how {
                Ended::Code(code) => value["exitCode"] = json!(code),
                Ended::Signal(signal) => value["signal"] = json!(signal),
                Ended::Unknown => {}
            }
            "exited"
        }
        Cause::TimedOut(missing) => {
            value["missing"] = json!(missing);
            "timeout"
        }
        Cause::Fork(syscall, errno) => {
            value["syscall"] = json!(syscall);
            // Negated, as everywhere between the addon and JavaScript.
            value["errno"] = json!(-errno);
            "fork"
        }
        Cause::Hung => "hung",
        Cause::Memory => "memory",
        Cause::Fault => "fault",
        Cause::Stopping => "stopping",
        Cause::NoSuchWorker => "noSuchWorker",
    };
    value["what"] = json!(what);
    value
}

/// What is known of supervision, as JSON.
pub(super) fn status_json(published: &Published) -> String {
    let Published { status, pids } = published;
    let now = Instant::now();
    let slots: Vec<_> = status.slots.iter().map(|slot| slot_json(slot, published, now)).collect();
    let draining = status.leaving.iter().map(|it| {
        json!({
            "worker": it.worker,
            "pid": pids.get(&it.worker),
            "memory": pids.get(&it.worker).copied().and_then(memory_of),
            "slot": it.slot,
            "generation": it.generation,
        })
    });
    let draining: Vec<_> = draining.collect();
    let blocked = status
        .blocked
        .iter()
        .map(|place| json!({ "at": place.at, "count": place.count, "ms": whole(place.longest) }));
    let blocked: Vec<_> = blocked.collect();
    json!({
        "state": state_name(status.state),
        "generation": status.generation,
        "held": status.is_held,
        "workers": status.slots.len(),
        "slots": slots,
        "draining": draining,
        "blocked": blocked,
    })
    .to_string()
}

fn slot_json(slot: &SlotStatus, published: &Published, now: Instant) -> Value {
    let pid = slot.worker.and_then(|worker| published.pids.get(&worker)).copied();
    let (state, next) = match slot.state {
        SlotState::Empty => ("empty", None),
        SlotState::Starting => ("starting", None),
        SlotState::Ready => ("ready", None),
        SlotState::Waiting(at) => ("waiting", Some(at)),
        SlotState::Failed => ("failed", None),
    };
    json!({
        "slot": slot.slot,
        "state": state,
        "worker": slot.worker,
        "pid": pid,
        "memory": pid.and_then(memory_of),
        "generation": slot.generation,
        "uptime": slot.ready_since.map(|since| whole(now.saturating_duration_since(since))),
        "failures": slot.failures,
        "restarts": slot.restarts,
        "nextStart": next.map(|at| whole(at.saturating_duration_since(now))),
    })
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Ready => "ready",
        State::Reloading => "reloading",
        State::Stopping => "stopping",
        State::Failed => "failed",
        State::Stopped => "stopped",
    }
}

fn phase_name(phase: FailedPhase) -> &'static str {
    match phase {
        FailedPhase::Start => "start",
        FailedPhase::Ready => "ready",
        FailedPhase::Canary => "canary",
        FailedPhase::Drain => "drain",
    }
}

/// In milliseconds.
fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

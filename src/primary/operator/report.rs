//! Reports as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::core::supervise::{
    report::{Cause, Ended, FailedPhase, Outcome, Rejection, Report, State},
    status::SlotState,
};

/// A report as JSON; `stderr` is what the worker wrote last that it is about.
pub fn report_json(report: &Report, stderr: Option<&str>) -> Value {
    match report {
        Report::State(state) => json!({ "type": "state", "state": state_name(*state) }),
        Report::Ready => json!({ "type": "ready" }),
        Report::Reloaded { generation, time } => {
            json!({ "type": "reload", "generation": generation, "ms": whole(*time) })
        }
        Report::Upgraded { pid, generation, time, stays } => json!({
            "type": "upgrade", "pid": pid, "generation": generation, "ms": whole(*time),
            "stays": stays,
        }),
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
        Report::StandbyFailed(rejection) => {
            json!({ "type": "standbyFailed", "reason": rejection_json(rejection, stderr) })
        }
        Report::PredecessorFaulted(message) => {
            json!({ "type": "predecessorFaulted", "message": message })
        }
        Report::TakenOver { pid, version, node } => {
            json!({ "type": "takeover", "pid": pid, "version": version, "node": node })
        }
        Report::Hung { worker, time, stack } => {
            json!({ "type": "hung", "worker": worker, "ms": whole(*time), "stack": stack })
        }
        Report::Blocked { worker, time, stack } => {
            json!({ "type": "blocked", "worker": worker, "ms": whole(*time), "stack": stack })
        }
        Report::Stopped => json!({ "type": "stopped" }),
        Report::SuccessorExited(how) => {
            let (code, signal) = match how {
                Ended::Code(code) => (Some(code), None),
                Ended::Signal(signal) => (None, Some(signal)),
                Ended::Unknown => (None, None),
            };
            json!({ "type": "successorExit", "code": code, "signal": signal })
        }
        Report::Answer(token, outcome) => answer_json(*token, outcome, stderr),
    }
}

fn answer_json(token: u32, outcome: &Outcome, stderr: Option<&str>) -> Value {
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
        Outcome::Upgraded { pid, generation, time } => {
            json!({ "pid": pid, "generation": generation, "ms": whole(*time) })
        }
    };
    json!({ "type": "done", "token": token, "value": value })
}

/// Why an operation failed.
pub(crate) fn rejection_json(rejection: &Rejection, stderr: Option<&str>) -> Value {
    let Rejection { cause, phase, worker, slot } = rejection;
    let mut value = json!({
        "worker": worker, "slot": slot, "phase": phase_name(*phase), "stderr": stderr,
        "exitCode": null, "signal": null, "errno": null, "syscall": null, "missing": [],
        "reason": null,
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
        Cause::Predecessor(message) => {
            value["message"] = json!(message);
            "predecessor"
        }
        Cause::Stopping => "stopping",
        Cause::NoSuchWorker => "noSuchWorker",
        Cause::Busy => "busy",
        Cause::Upgraded => "upgraded",
        Cause::NoCommonVersion(reason) => {
            value["reason"] = json!(reason);
            "noCommonVersion"
        }
        Cause::GaveUp(reason) => {
            value["reason"] = json!(reason);
            "gaveUp"
        }
        Cause::BrokeProtocol(reason) => {
            value["reason"] = json!(reason);
            "brokeProtocol"
        }
    };
    value["what"] = json!(what);
    value
}

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Ready => "ready",
        State::Reloading => "reloading",
        State::Upgrading => "upgrading",
        State::Stopping => "stopping",
        State::Failed => "failed",
        State::Stopped => "stopped",
    }
}

pub(super) fn slot_state_name(state: SlotState) -> &'static str {
    match state {
        SlotState::Empty => "empty",
        SlotState::Starting => "starting",
        SlotState::Ready => "ready",
        SlotState::Waiting(_) => "waiting",
        SlotState::Failed => "failed",
    }
}

fn phase_name(phase: FailedPhase) -> &'static str {
    match phase {
        FailedPhase::Start => "start",
        FailedPhase::Ready => "ready",
        FailedPhase::Canary => "canary",
        FailedPhase::Drain => "drain",
        FailedPhase::Handshake => "handshake",
        FailedPhase::Commit => "commit",
    }
}

/// In milliseconds.
pub(super) fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

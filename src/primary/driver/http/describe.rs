//! Why an operation has failed, in words.

use super::super::super::core::supervise::report::{Cause, Ended, FailedPhase, Rejection};
use crate::sys::{errno_name, signal_name};

/// A code that stays the same, and a sentence.
pub(super) fn describe(rejection: &Rejection) -> (&'static str, String) {
    let Rejection { cause, phase, worker, slot } = rejection;
    let who = match (worker, slot) {
        (Some(worker), Some(slot)) => format!("worker {worker} (slot {slot})"),
        (Some(worker), None) => format!("worker {worker}"),
        _ => "a worker".into(),
    };
    let when = match phase {
        FailedPhase::Start => "before it was ready",
        FailedPhase::Ready => "when it had to be ready",
        FailedPhase::Canary => "soon after it was ready",
        FailedPhase::Drain => "while it was draining",
        FailedPhase::Handshake => "before it had taken over the sockets",
        FailedPhase::Commit => "when it was to serve",
    };
    match cause {
        Cause::Exited(how) => {
            let how = match how {
                Ended::Code(code) => format!("with code {code}"),
                Ended::Signal(signal) => format!("by {}", signal_name(*signal)),
                Ended::Unknown => "for an unknown reason".into(),
            };
            ("ERR_RS_CLUSTER_WORKER_EXITED", format!("{who} exited {how} {when}"))
        }
        Cause::TimedOut(missing) => {
            let missing = if missing.is_empty() {
                String::new()
            } else {
                format!(": it does not listen on {}", missing.join(", "))
            };
            ("ERR_RS_CLUSTER_READY_TIMEOUT", format!("{who} was not ready in time{missing}"))
        }
        Cause::Fork(syscall, errno) => (
            "ERR_RS_CLUSTER_WORKER_NOT_STARTED",
            format!("{who} could not be started: {syscall} {}", errno_name(*errno)),
        ),
        Cause::Hung => {
            ("ERR_RS_CLUSTER_WORKER_HUNG", format!("the event loop of {who} was stuck {when}"))
        }
        Cause::Memory => {
            ("ERR_RS_CLUSTER_WORKER_MEMORY", format!("{who} used more than maxMemory {when}"))
        }
        Cause::Fault => ("ERR_RS_CLUSTER_PROTOCOL", format!("{who} broke the protocol {when}")),
        Cause::Predecessor(message) => ("ERR_RS_CLUSTER_PROTOCOL", message.clone()),
        Cause::Stopping => {
            ("ERR_RS_CLUSTER_SUPERVISOR_STOPPED", "the supervisor stops, or has stopped".into())
        }
        Cause::NoSuchWorker => {
            ("ERR_RS_CLUSTER_NO_SUCH_WORKER", "there is no such slot, and no such worker".into())
        }
        Cause::Busy => ("ERR_RS_CLUSTER_BUSY", "another operation is under way".into()),
        Cause::Upgraded => ("ERR_RS_CLUSTER_UPGRADED", "another primary has taken over".into()),
        Cause::NoCommonVersion(reason) | Cause::GaveUp(reason) | Cause::BrokeProtocol(reason) => {
            ("ERR_RS_CLUSTER_UPGRADE_FAILED", reason.clone())
        }
    }
}

use napi_derive::napi;

use super::{ipc_channel::IpcChannel, worker_process::WorkerProcess};
use crate::{
    primary::{Event, operator::report::report_json},
    sys::{errno, exit::Exit},
};

/// An event of the engine: `asked` (with `id`, the token, and `reason`, the operation), `started` (with `slot`, `generation` and `process`), `report` (JSON, as `reason`),
/// `exited` (with `code` or `signal`), `left`, `passed` (`id` is the token),
/// `staying`, `faulted` or `unable` (with `reason`), `unaccepted` (with a negated errno as `code`,
/// and the address as `reason`), or `unwanted` (with the addresses as `reason`).
#[napi(object, object_from_js = false)]
pub struct EngineEvent {
    /// The kind of event.
    #[napi(
        ts_type = "'asked' | 'started' | 'report' | 'exited' | 'left' | 'passed' | 'staying' | 'faulted' | 'unable' | 'unaccepted' | 'unwanted'"
    )]
    pub kind: String,
    /// The worker's id, or the token.
    pub id: u32,
    /// The exit code, or a negated errno.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// How many connections its exit has cut, if it drained.
    pub cut: u32,
    /// The error, the address, or the report.
    pub reason: Option<String>,
    /// What an operator says of the operation, as JSON.
    pub options: Option<String>,
    /// The slot of a supervised worker.
    pub slot: u32,
    /// Its generation.
    pub generation: u32,
    /// Its process.
    pub process: Option<WorkerProcess>,
}

impl From<Event> for EngineEvent {
    fn from(event: Event) -> Self {
        let plain = |kind: &str, id| Self {
            kind: kind.into(),
            id,
            code: None,
            signal: None,
            cut: 0,
            reason: None,
            options: None,
            slot: 0,
            generation: 0,
            process: None,
        };
        match event {
            Event::Started { worker, slot, generation, process, channel, pipes } => {
                let process = WorkerProcess::new(process, IpcChannel::new(*channel), pipes);
                Self { slot, generation, process: Some(process), ..plain("started", worker) }
            }
            Event::Asked { token, operation, options } => {
                Self { reason: Some(operation.into()), options, ..plain("asked", token) }
            }
            Event::Report { report, stderr } => {
                let report = report_json(&report, stderr.as_deref()).to_string();
                Self { reason: Some(report), ..plain("report", 0) }
            }
            Event::Left(worker) => plain("left", worker),
            Event::Passed(token) => plain("passed", token),
            Event::Staying(worker) => plain("staying", worker),
            Event::Unaccepted { address, error } => {
                Self { code: Some(errno(&error)), reason: Some(address), ..plain("unaccepted", 0) }
            }
            Event::Unwanted(addresses) => {
                Self { reason: Some(addresses.join(", ")), ..plain("unwanted", 0) }
            }
            Event::Faulted { worker, error } => {
                Self { reason: Some(error.to_string()), ..plain("faulted", worker) }
            }
            Event::Unable { worker, reason } => {
                Self { reason: Some(reason), ..plain("unable", worker) }
            }
            Event::Exited { worker, exit, cut } => {
                let (code, signal) = match exit {
                    Some(Exit::Code(code)) => (Some(code), None),
                    Some(Exit::Signal(signal)) => (None, Some(signal)),
                    None => (None, None),
                };
                let cut = u32::try_from(cut).unwrap_or(u32::MAX);
                Self { code, signal, cut, ..plain("exited", worker) }
            }
        }
    }
}

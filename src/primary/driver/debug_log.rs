use std::{
    fmt,
    io::{self, Write},
};

use crate::{protocol::WorkerId, sys::exit::Exit};

/// Writes to stderr what happens (`NODE_DEBUG=cluster`), in the form of Node's `util.debuglog`. The engine's
/// thread writes it, so it can be read while JavaScript is stuck.
#[derive(Clone, Copy)]
pub(super) struct DebugLog {
    is_on: bool,
}

impl DebugLog {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    pub(super) fn write(self, line: fmt::Arguments<'_>) {
        if self.is_on {
            // In one write, so that it does not mix with lines of other threads and processes. What a
            // full pipe does not take is lost.
            let line = format!("CLUSTER {}: {line}\n", std::process::id());
            let _ = io::stderr().write(line.as_bytes());
        }
    }

    pub(super) fn exit(self, id: WorkerId, exit: Option<Exit>) {
        match exit {
            Some(Exit::Code(code)) => {
                self.write(format_args!("worker {id} exited with code {code}"))
            }
            Some(Exit::Signal(signal)) => {
                self.write(format_args!("worker {id} was ended by signal {signal}"));
            }
            None => self.write(format_args!("worker {id} ended, and other code reaped it")),
        }
    }
}

use std::{
    fmt,
    io::{self, Write},
};

use crate::{protocol::WorkerId, sys::exit::Exit};

/// Tells on stderr what happens (`NODE_DEBUG=cluster`), in the form of Node's `util.debuglog`. It is
/// written from this thread, so that it can be read while JavaScript is stuck.
#[derive(Clone, Copy)]
pub(super) struct Story {
    told: bool,
}

impl Story {
    pub(super) fn new(told: bool) -> Self {
        Self { told }
    }

    pub(super) fn tell(self, line: fmt::Arguments<'_>) {
        if self.told {
            // In one write, lest it mix with the lines of other threads and processes. What a
            // full pipe does not take is lost.
            let line = format!("CLUSTER {}: {line}\n", std::process::id());
            let _ = io::stderr().write(line.as_bytes());
        }
    }

    pub(super) fn exit(self, id: WorkerId, exit: Option<Exit>) {
        match exit {
            Some(Exit::Code(code)) => {
                self.tell(format_args!("worker {id} exited with code {code}"))
            }
            Some(Exit::Signal(signal)) => {
                self.tell(format_args!("worker {id} was ended by signal {signal}"));
            }
            None => self.tell(format_args!("worker {id} ended, nobody knows how")),
        }
    }
}

//! What it takes to start a worker.

use std::{
    ffi::CString,
    fmt::Display,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::core::supervise::report::SlotNumber;
use super::{
    fork::{Forked, LaneNumbers, fork},
    output_relay::{Prefix, StderrTail, Target},
    stdio::{Stdio, inherits},
};
use crate::{error::Result, protocol::WorkerId, sys::spawn::Program};

/// The variable by which Node knows that a process is a worker.
const UNIQUE_ID: &str = "NODE_UNIQUE_ID";

const LAST_PORT: u32 = 65_535;

/// How many ports need no privileges.
const FREE_PORTS: u32 = LAST_PORT - 1023;

/// What it takes to start a worker, any number of times.
#[derive(Debug)]
pub struct Recipe {
    /// Path of the executable.
    pub file: CString,
    /// All arguments, the first being the program's own name.
    pub args: Vec<CString>,
    /// The environment, as `NAME=value`. `NODE_UNIQUE_ID` is added, or replaced.
    pub env: Vec<CString>,
    /// The directory to start in; this process's if `None`.
    pub cwd: Option<CString>,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
    /// The child's descriptors, by number: see [`Stdio::open`].
    pub stdio: Vec<i32>,
    /// The child's descriptors for its ends of the lanes.
    pub numbers: LaneNumbers,
    /// See [`Adopted::queue_timeout`](super::fork::Adopted::queue_timeout).
    pub queue_timeout: Duration,
    /// Whether a worker leads a process group of its own.
    pub own_group: bool,
    /// Whether the end of what a worker writes to its stderr is kept, if that is this process's stderr.
    pub keeps_stderr: bool,
    /// Whether what workers write to this process's stdout and stderr gets their slots in front of each line, and
    /// whether that may have a color.
    pub prefix: Option<LinePrefix>,
    /// The inspector's port, where the inspector is in use.
    pub inspect: Option<InspectPort>,
    /// Variables that tell a worker its slot, in addition to `env`, or in place of those there.
    pub slot_env: Vec<SlotVariable>,
}

/// How lines get slots in front.
#[derive(Debug, Clone, Copy)]
pub struct LinePrefix {
    /// Whether the slots have colors on a terminal.
    pub may_have_color: bool,
}

/// A variable whose value is the slot of the worker plus an offset.
#[derive(Debug, Clone)]
pub struct SlotVariable {
    /// Its name, without null bytes and `=`.
    pub name: String,
    /// The value in slot 0.
    pub offset: i64,
}

/// Gives each worker an inspector's port of its own.
#[derive(Debug, Clone)]
pub struct InspectPort {
    /// The port of the first worker.
    pub first: u16,
    /// Where `--inspect-port` goes among the arguments.
    pub index: usize,
    /// How many ports were given out, also by other recipes that share this counter.
    pub given: Arc<AtomicU32>,
}

impl InspectPort {
    /// The next port. After the last one it begins anew with those that need no privileges, as in Node.
    fn next(&self) -> u16 {
        let given = self.given.fetch_add(1, Ordering::Relaxed) % FREE_PORTS;
        let port = u32::from(self.first) + given;
        let wrapped = if port > LAST_PORT { port - FREE_PORTS } else { port };
        u16::try_from(wrapped).unwrap_or(self.first)
    }
}

/// The outputs of a worker that are pipes.
#[derive(Default)]
pub struct Outputs {
    /// Its stdout.
    pub stdout: Option<OwnedFd>,
    /// Its stderr, of which the end is kept.
    pub stderr: Option<(OwnedFd, StderrTail)>,
}

/// A worker that was started by a recipe. Whoever drops one unused has to end its process.
pub struct Started {
    /// The worker, for the engine and for JavaScript.
    pub forked: Forked,
    /// This process's ends of the child's pipes, by the child's numbers.
    pub pipes: Vec<Option<OwnedFd>>,
    /// The end of what it writes to its stderr, if that is kept.
    pub stderr: Option<StderrTail>,
}

impl Recipe {
    /// Whether an output of a worker is to be a pipe, from which it is copied. Otherwise it is what `stdio` says.
    pub fn relays(&self, target: Target) -> bool {
        let is_wanted = match target {
            Target::Stdout => self.prefix.is_some(),
            Target::Stderr => self.prefix.is_some() || self.keeps_stderr,
        };
        is_wanted && inherits(&self.stdio, target)
    }

    /// What lines of the worker in this slot begin with.
    pub fn prefix_of(&self, slot: SlotNumber) -> Option<Prefix> {
        self.prefix.map(|LinePrefix { may_have_color }| Prefix { slot, may_have_color })
    }

    /// Starts worker `id`, which has a slot if it is supervised. It writes to what `outputs` are
    /// given.
    ///
    /// # Errors
    /// That of the system call that failed. Nothing is left open or running then.
    pub fn start(
        &self,
        id: WorkerId,
        slot: Option<SlotNumber>,
        outputs: Outputs,
    ) -> Result<Started> {
        let mut stdio = Stdio::open(&self.stdio)?;
        if let Some(theirs) = outputs.stdout {
            stdio.replace(Target::Stdout, theirs);
        }
        let stderr = outputs.stderr.map(|(theirs, tail)| {
            stdio.replace(Target::Stderr, theirs);
            tail
        });
        let Stdio { descriptors, pipes, kept_open } = stdio;
        let inspect_port = self.inspect.as_ref().map(InspectPort::next);
        let program = self.program(id, slot, inspect_port, descriptors);
        let mut forked = fork(id, program, self.numbers, self.queue_timeout)?;
        forked.adopted.inspect_port = inspect_port;
        drop(kept_open);
        Ok(Started { forked, pipes, stderr })
    }

    fn program(
        &self,
        id: WorkerId,
        slot: Option<SlotNumber>,
        inspect_port: Option<u16>,
        descriptors: Vec<Option<i32>>,
    ) -> Program {
        let mut args = self.args.clone();
        if let (Some(port), Some(inspect)) = (inspect_port, &self.inspect) {
            args.insert(inspect.index.min(args.len()), text(format!("--inspect-port={port}")));
        }
        let mut env = self.env.clone();
        set(&mut env, UNIQUE_ID, id);
        for SlotVariable { name, offset } in slot.iter().flat_map(|_| &self.slot_env) {
            set(&mut env, name, i64::from(slot.unwrap_or_default()).saturating_add(*offset));
        }
        Program {
            file: self.file.clone(),
            args,
            env,
            cwd: self.cwd.clone(),
            descriptors,
            uid: self.uid,
            gid: self.gid,
            own_group: self.own_group,
        }
    }
}

/// Sets a variable: in its place if the environment has it, because a program sees the order.
fn set(env: &mut Vec<CString>, name: &str, value: impl Display) {
    let pair = text(format!("{name}={value}"));
    let is_it = |given: &CString| {
        given.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|it| it.first() == Some(&b'='))
    };
    match env.iter_mut().find(|given| is_it(given)) {
        Some(given) => *given = pair,
        None => env.push(pair),
    }
}

/// Text without null bytes.
fn text(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;

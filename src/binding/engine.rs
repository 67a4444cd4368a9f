use std::{
    cell::{Cell, RefCell},
    ffi::CString,
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use napi::{
    Env, JsValue, Status, Unknown,
    bindgen_prelude::{Either, Function},
    threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;

use super::{callback::reason, message_lane::MessageLane, stats::EngineStats};
use crate::{
    error::{Error, Result},
    primary::{
        Command, Engine as Core, Event, Scheduling, Settings,
        fork::{Forked, LaneNumbers, ended_lane, fork},
    },
    protocol::WorkerId,
    sys::{
        duplicate, errno,
        exit::{Exit, Process},
        lane, node,
        spawn::Program,
    },
};

/// What the engine tells: `exited` (with `code` or `signal`), `left`, `settled` (`id` is the token), `staying`,
/// `faulted` or `unable` (with `reason`), or `unaccepted` (with a negated errno as `code`, and the address as `reason`).
#[napi(object)]
pub struct EngineEvent {
    /// Which of them.
    #[napi(
        ts_type = "'exited' | 'left' | 'settled' | 'staying' | 'faulted' | 'unable' | 'unaccepted'"
    )]
    pub kind: String,
    /// The worker's id, or the token.
    pub id: u32,
    /// The exit code, or what failed.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What was wrong, or where.
    pub reason: Option<String>,
}

impl From<Event> for EngineEvent {
    fn from(event: Event) -> Self {
        let plain =
            |kind: &str, id| Self { kind: kind.into(), id, code: None, signal: None, reason: None };
        match event {
            Event::Left(worker) => plain("left", worker),
            Event::Passed(token) => plain("settled", token),
            Event::Staying(worker) => plain("staying", worker),
            Event::Unaccepted { address, error } => {
                Self { code: Some(errno(&error)), reason: Some(address), ..plain("unaccepted", 0) }
            }
            Event::Faulted { worker, error } => {
                Self { reason: Some(error.to_string()), ..plain("faulted", worker) }
            }
            Event::Unable { worker, reason } => {
                Self { reason: Some(reason), ..plain("unable", worker) }
            }
            Event::Exited { worker, exit } => {
                let (code, signal) = match exit {
                    Some(Exit::Code(code)) => (Some(code), None),
                    Some(Exit::Signal(signal)) => (None, Some(signal)),
                    None => (None, None),
                };
                Self { code, signal, ..plain("exited", worker) }
            }
        }
    }
}

/// What to start, and how.
#[napi(object)]
pub struct ForkOptions {
    /// The worker's id.
    pub id: u32,
    /// Path of the executable.
    pub file: String,
    /// All arguments, `argv[0]` included.
    pub args: Vec<String>,
    /// The environment, as `NAME=value`.
    pub env: Vec<String>,
    /// The directory to start in.
    pub cwd: Option<String>,
    /// The child's descriptors: -1 leaves the number closed, -2 is `/dev/null`, -3 a new pipe, any
    /// other that descriptor of ours.
    pub stdio: Vec<i32>,
    /// Number of the child's end of the IPC channel.
    pub message_lane: i32,
    /// Number of the child's end of the control socket.
    pub control_lane: i32,
    /// Number of the child's end of the hand-off queue.
    pub connection_lane: i32,
    /// Number of the child's descriptor for the memory of the IPC channel.
    pub memory: i32,
    /// How many milliseconds connections that it has not taken wait for another worker, if nobody
    /// else serves their address.
    pub queue_timeout: u32,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
}

/// Why a worker could not be started.
#[napi(object)]
pub struct ForkFailure {
    /// The system call that failed.
    pub syscall: String,
    /// Its negated errno.
    pub errno: i32,
}

impl From<Error> for ForkFailure {
    fn from(error: Error) -> Self {
        match error {
            Error::System { syscall, source } => {
                Self { syscall: syscall.into(), errno: errno(&source) }
            }
            // The engine has stopped, which it does only with its environment.
            _ => Self { syscall: "pthread_create".into(), errno: -libc::EAGAIN },
        }
    }
}

/// How many descriptors a child expects to block, as libuv leaves them to it.
const STANDARD_STREAMS: usize = 3;
const IGNORE: i32 = -2;
const PIPE: i32 = -3;

/// The engine of one primary.
#[napi]
pub struct Engine {
    core: RefCell<Core>,
}

#[napi]
impl Engine {
    /// The version of the package that the addon is part of: the JavaScript beside it checks it.
    #[napi]
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Reports an uncaught exception, in the asynchronous context of the caller: the process ends of it,
    /// unless a handler of `'uncaughtException'` takes it.
    #[napi]
    pub fn report_uncaught(env: Env, thrown: Unknown<'_>) {
        node::report_uncaught(env.raw().cast(), thrown.raw().cast());
    }

    /// `onEvent` is called for each event. It does not hold the event loop open.
    #[napi(constructor)]
    pub fn new(on_event: Function<EngineEvent, ()>) -> napi::Result<Self> {
        let events = on_event
            .build_threadsafe_function::<Event>()
            .weak::<true>()
            .build_callback(|context| Ok(EngineEvent::from(context.value)))?;
        let core = Core::new(move |event| {
            // Fails only when the environment is ending.
            let _: Status = events.call(event, ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Self { core: RefCell::new(core) })
    }

    /// Starts the engine's thread, with settings that hold from now on: the number of the policy,
    /// and whether to tell on stderr what happens. Says why it can't, if so.
    #[napi]
    pub fn start(&self, policy: u32, debug_log: bool) -> napi::Result<Option<ForkFailure>> {
        let scheduling = Scheduling::from_number(policy);
        let scheduling = scheduling.ok_or_else(|| reason(format_args!("no policy {policy}")))?;
        let started = self.core.borrow_mut().start(Settings { scheduling, debug_log });
        Ok(started.err().map(ForkFailure::from))
    }

    /// Starts a worker. Returns its process, or why it can't.
    #[napi]
    pub fn fork(&self, options: ForkOptions) -> Either<WorkerProcess, ForkFailure> {
        match self.try_fork(options) {
            Ok(process) => Either::A(process),
            Err(error) => Either::B(error.into()),
        }
    }

    /// The IPC channel of a worker that could not be started, which has ended; null where there is no
    /// descriptor for it.
    #[napi]
    pub fn ended_lane(&self) -> Option<MessageLane> {
        ended_lane().ok().map(MessageLane::new)
    }

    /// Our end of a pipe whose other end is closed: a descriptor for the caller, or a negated errno.
    #[napi]
    pub fn ended_pipe(&self) -> i32 {
        lane::pipe().map_or_else(|error| errno(&error), |(ours, _)| ours.into_raw_fd())
    }

    /// Gives the worker no more connections, and those it has not taken to others.
    #[napi]
    pub fn retire(&self, worker: u32) {
        self.send(Command::Drain(worker));
    }

    /// As `retire`, and asks for a `left` event once all is closed that this worker was the last to serve.
    /// Returns whether it will come.
    #[napi]
    pub fn leave(&self, worker: u32) -> bool {
        self.core.borrow().send(Command::Leave(worker)).is_ok()
    }

    /// Gives the worker no more connections until `resume`, and those it has not taken to others.
    #[napi]
    pub fn pause(&self, worker: u32) {
        self.send(Command::Pause(worker));
    }

    /// Lets the worker have connections again.
    #[napi]
    pub fn resume(&self, worker: u32) {
        self.send(Command::Resume(worker));
    }

    /// What the engine knows of connections now. Waits for nothing.
    #[napi]
    pub fn stats(&self) -> EngineStats {
        self.core.borrow().stats().into()
    }

    /// Closes what waits for a worker to come, and asks for a `settled` event once that and all that was
    /// asked before is done.
    #[napi]
    pub fn settle(&self, token: u32) {
        self.core.borrow().barrier(token);
    }

    fn send(&self, command: Command) {
        // Without its thread the engine has no workers, so nothing is lost.
        let _ = self.core.borrow().send(command);
    }

    fn try_fork(&self, options: ForkOptions) -> Result<WorkerProcess> {
        let numbers = LaneNumbers {
            message: options.message_lane,
            control: options.control_lane,
            connection: options.connection_lane,
            memory: options.memory,
        };
        let id = options.id;
        let queue_timeout = Duration::from_millis(options.queue_timeout.into());
        let Stdio { descriptors, pipes, kept_open } = Stdio::open(&options.stdio)?;
        let Forked { adopted, message } =
            fork(id, program(options, descriptors)?, numbers, queue_timeout)?;
        drop(kept_open);
        let process = Arc::clone(&adopted.process);
        if self.core.borrow().send(Command::Adopt(adopted)).is_err() {
            process.end();
            return Err(Error::Stopped);
        }
        let lane = Cell::new(Some(MessageLane::new(message)));
        let pid = process.pid();
        let (process, pipes) = (RefCell::new(Some(process)), RefCell::new(pipes));
        Ok(WorkerProcess { id, pid, process, lane, pipes })
    }
}

/// The standard descriptors of a child to be.
struct Stdio {
    descriptors: Vec<Option<RawFd>>,
    /// Our ends of the pipes, by the child's number.
    pipes: Vec<Option<OwnedFd>>,
    /// What `descriptors` names, closed here once the child runs.
    kept_open: Vec<OwnedFd>,
}

impl Stdio {
    fn open(wanted: &[i32]) -> Result<Self> {
        let mut stdio = Self { descriptors: Vec::new(), pipes: Vec::new(), kept_open: Vec::new() };
        for &wish in wanted {
            let mut pipe = None;
            let descriptor = match wish {
                IGNORE => Some(stdio.keep_open(null().map_err(Error::system("open"))?)),
                PIPE => {
                    let (ours, theirs) = lane::pipe().map_err(Error::system("socketpair"))?;
                    pipe = Some(ours);
                    Some(stdio.keep_open(theirs))
                }
                number if number < 0 => None,
                number => {
                    // Fails here for a descriptor that is not open, as Node does.
                    let theirs = duplicate(number).map_err(Error::system("dup"))?;
                    if stdio.descriptors.len() < STANDARD_STREAMS {
                        // What has no such state needs none.
                        let _ = lane::make_blocking(&theirs);
                    }
                    Some(stdio.keep_open(theirs))
                }
            };
            stdio.descriptors.push(descriptor);
            stdio.pipes.push(pipe);
        }
        Ok(stdio)
    }

    fn keep_open(&mut self, theirs: OwnedFd) -> RawFd {
        let number = theirs.as_raw_fd();
        self.kept_open.push(theirs);
        number
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(std::fs::File::options().read(true).write(true).open("/dev/null")?.into())
}

fn program(options: ForkOptions, descriptors: Vec<Option<RawFd>>) -> Result<Program> {
    // JavaScript has refused null bytes before.
    let text =
        |text: String| CString::new(text).map_err(io::Error::from).map_err(Error::system("execve"));
    let texts = |list: Vec<String>| list.into_iter().map(text).collect::<Result<_>>();
    Ok(Program {
        file: text(options.file)?,
        args: texts(options.args)?,
        env: texts(options.env)?,
        cwd: options.cwd.map(text).transpose()?,
        descriptors,
        uid: options.uid,
        gid: options.gid,
    })
}

/// The process of a worker.
#[napi]
pub struct WorkerProcess {
    id: WorkerId,
    pid: i32,
    process: RefCell<Option<Arc<Process>>>,
    lane: Cell<Option<MessageLane>>,
    pipes: RefCell<Vec<Option<OwnedFd>>>,
}

#[napi]
impl WorkerProcess {
    /// The worker's id.
    #[napi(getter)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The process id.
    #[napi(getter)]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Our end of the IPC channel; the caller's from now on.
    #[napi]
    pub fn take_lane(&self) -> Option<MessageLane> {
        self.lane.take()
    }

    /// Our end of the pipe at the child's descriptor `number`, or -1; the caller's from now on.
    #[napi]
    pub fn take_pipe(&self, number: u32) -> i32 {
        let mut pipes = self.pipes.borrow_mut();
        let pipe = pipes.get_mut(number as usize).and_then(Option::take);
        pipe.map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Sends a signal; 0 only asks. Returns 0 or a negated errno.
    #[napi]
    pub fn kill(&self, signal: i32) -> i32 {
        let sent = match self.process.borrow().as_ref() {
            Some(process) => process.signal(signal),
            None => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        };
        sent.map_or_else(|error| errno(&error), |()| 0)
    }

    /// Gives the pid of the process, which has ended, back to the system.
    #[napi]
    pub fn reap(&self) {
        if let Some(process) = self.process.take() {
            process.reap();
        }
    }
}

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use napi_derive::napi;

use crate::{
    error::{Error, Result},
    sys::{duplicate, errno, lane, spawn::Program},
};

/// How many descriptors a child expects to be blocking, as with libuv.
const STANDARD_STREAMS: usize = 3;
const IGNORE: i32 = -2;
const PIPE: i32 = -3;

/// What to start, and how.
#[napi(object, object_to_js = false)]
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
    /// The child's descriptors, by number: -1 leaves the number closed, -2 is `/dev/null`, -3 a new
    /// pipe, any other number that descriptor of this process.
    pub stdio: Vec<i32>,
    /// The number of the child's end of the IPC channel.
    pub ipc_channel: i32,
    /// The number of the child's end of the control socket.
    pub control_socket: i32,
    /// The number of the child's end of the hand-off queue.
    pub hand_off_queue: i32,
    /// The number of the child's descriptor for the shared memory.
    pub memory: i32,
    /// How many milliseconds connections that it has not taken wait for another worker, if no other
    /// worker serves their address.
    pub queue_timeout: u32,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
}

/// Why a worker could not be started.
#[napi(object, object_from_js = false)]
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
            // The engine has stopped, which happens only when its environment ends.
            _ => Self { syscall: "pthread_create".into(), errno: -libc::EAGAIN },
        }
    }
}

/// The descriptors of a child that is to be started.
pub(super) struct Stdio {
    pub(super) descriptors: Vec<Option<RawFd>>,
    /// This process's ends of the pipes, by the child's numbers.
    pub(super) pipes: Vec<Option<OwnedFd>>,
    /// The descriptors that `descriptors` names; closed here once the child runs.
    pub(super) kept_open: Vec<OwnedFd>,
}

impl Stdio {
    pub(super) fn open(wanted: &[i32]) -> Result<Self> {
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
                    // A descriptor that is not open is an error here, as in Node.
                    let theirs = duplicate(number).map_err(Error::system("dup"))?;
                    if stdio.descriptors.len() < STANDARD_STREAMS {
                        // Descriptors without this state don't need it.
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

/// The program to start, with the descriptors that it gets.
pub(super) fn program(options: ForkOptions, descriptors: Vec<Option<RawFd>>) -> Result<Program> {
    // JavaScript has already rejected null bytes.
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

use std::{ffi::CString, io, time::Duration};

use napi_derive::napi;

use crate::{
    error::{Error, Result},
    primary::{fork::LaneNumbers, recipe::Recipe},
    sys::errno,
};

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

impl TryFrom<ForkOptions> for Recipe {
    type Error = Error;

    fn try_from(options: ForkOptions) -> Result<Self> {
        Ok(Self {
            file: text(options.file)?,
            args: texts(options.args)?,
            env: texts(options.env)?,
            cwd: options.cwd.map(text).transpose()?,
            uid: options.uid,
            gid: options.gid,
            stdio: options.stdio,
            numbers: LaneNumbers {
                ipc: options.ipc_channel,
                control: options.control_socket,
                hand_off: options.hand_off_queue,
                memory: options.memory,
            },
            queue_timeout: Duration::from_millis(options.queue_timeout.into()),
            own_group: false,
            keeps_stderr: false,
            inspect: None,
        })
    }
}

/// JavaScript has already rejected null bytes.
fn text(text: String) -> Result<CString> {
    CString::new(text).map_err(io::Error::from).map_err(Error::system("execve"))
}

fn texts(list: Vec<String>) -> Result<Vec<CString>> {
    list.into_iter().map(text).collect()
}

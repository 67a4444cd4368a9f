use std::{
    ffi::CString,
    io,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use napi_derive::napi;

use crate::{
    error::{Error, Result},
    primary::{
        fork::LaneNumbers,
        primary_recipe::PrimaryRecipe,
        recipe::{InspectPort, LinePrefix, Recipe, SlotVariable},
    },
};

/// A variable whose value is the slot of the worker plus an offset.
#[napi(object, object_to_js = false)]
pub struct EngineSlotVariable {
    /// Its name.
    pub name: String,
    /// The value in slot 0.
    pub offset: i64,
}

impl From<EngineSlotVariable> for SlotVariable {
    fn from(EngineSlotVariable { name, offset }: EngineSlotVariable) -> Self {
        Self { name, offset }
    }
}

/// What it takes to start workers.
#[napi(object, object_to_js = false)]
pub struct EngineRecipe {
    /// Path of the executable.
    pub file: String,
    /// All arguments, `argv[0]` included.
    pub args: Vec<String>,
    /// The environment, as `NAME=value`. Each worker gets its own `NODE_UNIQUE_ID` in addition.
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
    /// The number of the child's end of the watchdog lane, if it is to have one.
    pub watchdog: Option<i32>,
    /// How many milliseconds connections that it has not taken wait for another worker, if no other
    /// worker serves their address.
    pub queue_timeout: u32,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
    /// Whether each worker leads a process group. Default: false.
    pub own_group: Option<bool>,
    /// Whether the end of what a worker writes to its stderr is kept for error reports, if that is the
    /// stderr of this process: the worker gets a pipe then. Default: false. `fork()` ignores it.
    pub keep_stderr: Option<bool>,
    /// Whether what workers write to the stdout and stderr of this process gets their slots in front of each line.
    /// Default: false. `fork()` ignores it.
    pub prefix: Option<bool>,
    /// Whether these have colors on a terminal. Default: false.
    pub prefix_color: Option<bool>,
    /// The inspector's port of the first worker, and those after it that of each other; absent if the
    /// inspector is not in use.
    pub inspect_port: Option<u16>,
    /// Where `--inspect-port` goes among the arguments. Default: at the end.
    pub inspect_index: Option<u32>,
    /// Variables that tell each worker its slot, in addition to `env`, or in place of those there. `fork()` ignores
    /// them.
    pub slot_env: Option<Vec<EngineSlotVariable>>,
}

impl EngineRecipe {
    /// `inspect_ports` counts the inspector's ports that the recipes of one engine have given out.
    pub(super) fn into_recipe(self, inspect_ports: &Arc<AtomicU32>) -> Result<Recipe> {
        let inspect = self.inspect_port.map(|first| InspectPort {
            first,
            index: self.inspect_index.map_or(usize::MAX, |index| index as usize),
            given: Arc::clone(inspect_ports),
        });
        Ok(Recipe {
            file: text(self.file)?,
            args: texts(self.args)?,
            env: texts(self.env)?,
            cwd: self.cwd.map(text).transpose()?,
            uid: self.uid,
            gid: self.gid,
            stdio: self.stdio,
            numbers: LaneNumbers {
                ipc: self.ipc_channel,
                control: self.control_socket,
                hand_off: self.hand_off_queue,
                memory: self.memory,
                watchdog: self.watchdog,
            },
            queue_timeout: Duration::from_millis(self.queue_timeout.into()),
            own_group: self.own_group.unwrap_or(false),
            keeps_stderr: self.keep_stderr.unwrap_or(false),
            prefix: self
                .prefix
                .unwrap_or(false)
                .then_some(LinePrefix { may_have_color: self.prefix_color.unwrap_or(false) }),
            inspect,
            slot_env: self.slot_env.into_iter().flatten().map(SlotVariable::from).collect(),
        })
    }
}

/// What it takes to start the primary that is to take over.
#[napi(object, object_to_js = false)]
pub struct EnginePrimaryRecipe {
    /// Path of the executable.
    pub file: String,
    /// All arguments, `argv[0]` included.
    pub args: Vec<String>,
    /// The environment, as `NAME=value`. `RS_CLUSTER_UPGRADE` is added.
    pub env: Vec<String>,
    /// The directory to start in.
    pub cwd: Option<String>,
    /// The child's descriptors, by number: -1 leaves the number closed, -2 is `/dev/null`, any other number that
    /// descriptor of this process.
    pub stdio: Vec<i32>,
}

impl EnginePrimaryRecipe {
    pub(super) fn into_recipe(self) -> Result<PrimaryRecipe> {
        Ok(PrimaryRecipe {
            file: text(self.file)?,
            args: texts(self.args)?,
            env: texts(self.env)?,
            cwd: self.cwd.map(text).transpose()?,
            stdio: self.stdio,
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

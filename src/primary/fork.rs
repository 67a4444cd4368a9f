//! A worker begins: its lanes, its process.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    ipc::Channel,
    protocol::WorkerId,
    sys::{
        exit::Process,
        lane,
        ring::{self, Ring, SharedCounters, Side},
        spawn,
    },
};

/// The child's descriptors for its ends of the lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneNumbers {
    /// Of the message lane.
    pub message: i32,
    /// Of the control lane.
    pub control: i32,
    /// Of the connection lane.
    pub connection: i32,
    /// Of the memory of the message lane.
    pub memory: i32,
}

/// The engine's share of a new worker.
#[derive(Debug)]
pub struct Adopted {
    /// The worker.
    pub id: WorkerId,
    /// Its process. JavaScript has it too, sends it signals, and reaps it.
    pub process: Arc<Process>,
    /// Our end of the control lane.
    pub control: OwnedFd,
    /// Our end of the connection lane.
    pub connection: OwnedFd,
    /// A duplicate of the worker's end, to take back what it did not take.
    pub reclaim: OwnedFd,
    /// What the worker counts.
    pub tally: SharedCounters,
    /// How long connections that it has not taken wait for another worker, if it was the last that
    /// served their address. Then they are closed.
    pub queue_timeout: Duration,
    /// Whether it runs as another user than this process.
    pub is_other_user: bool,
}

/// A started worker.
pub struct Forked {
    /// For the engine.
    pub adopted: Adopted,
    /// Our end of the message lane, for the JavaScript thread.
    pub message: Channel,
}

/// Makes the lanes of worker `id` and starts its process, with the child's ends at `numbers` beside
/// the descriptors that `program` already has. `queue_timeout` is that of [`Adopted`].
///
/// # Errors
/// That of the system call that failed. Nothing is left open or running then.
pub fn fork(
    id: WorkerId,
    mut program: spawn::Program,
    numbers: LaneNumbers,
    queue_timeout: Duration,
) -> Result<Forked> {
    let (message, their_message) = lane::stream_pair().map_err(Error::system(NEW_LANE))?;
    let (ring, memory) = memory()?;
    let tally = ring.counters.clone();
    let message = Channel::new(message, ring);
    let (control, their_control) = lane::packet_pair().map_err(Error::system(NEW_LANE))?;
    let (connection, reclaim) = lane::packet_pair().map_err(Error::system(NEW_LANE))?;
    // More connections would wait at one worker while others are free; fewer would run dry between
    // two turns of a busy worker's event loop.
    lane::limit_send_buffer(&connection, lane::WINDOW).map_err(Error::system("setsockopt"))?;
    let ends = [
        (numbers.message, &their_message),
        (numbers.control, &their_control),
        (numbers.connection, &reclaim),
        // A socket says that there is none, see `ring::inherit`.
        (numbers.memory, memory.as_ref().unwrap_or(&their_control)),
    ];
    for (number, end) in ends {
        let slot = usize::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into());
        let slot = slot.map_err(Error::system("dup"))?;
        if program.descriptors.len() <= slot {
            program.descriptors.resize(slot + 1, None);
        }
        program.descriptors[slot] = Some(end.as_raw_fd());
    }
    let is_other_user = program.uid.is_some() || program.gid.is_some();
    let process = Arc::new(spawn::spawn(&program)?);
    let adopted =
        Adopted { id, process, control, connection, reclaim, tally, queue_timeout, is_other_user };
    Ok(Forked { adopted, message })
}

/// The system call that makes a lane.
const NEW_LANE: &str = "socketpair";

/// The memory of the message lane. Without it, all messages go by the stream; so it does where the system
/// refuses it for another reason than that this process has no descriptor left.
fn memory() -> Result<(Ring, Option<OwnedFd>)> {
    let created = ring::create();
    let mapped = created.and_then(|memory| Ok((Ring::map(&memory, Side::Primary)?, Some(memory))));
    match mapped {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            Err(Error::system("memfd_create")(error))
        }
        Err(_) => Ok((Ring::unshared().map_err(Error::system("mmap"))?, None)),
        Ok(mapped) => Ok(mapped),
    }
}

/// The message lane of a worker that could not be started: it has ended.
///
/// # Errors
/// That of the system call that failed.
pub fn ended_lane() -> Result<Channel> {
    let (message, _) = lane::stream_pair().map_err(Error::system(NEW_LANE))?;
    Ok(Channel::new(message, Ring::unshared().map_err(Error::system("mmap"))?))
}

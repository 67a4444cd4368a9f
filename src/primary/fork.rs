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
    /// The number of the IPC channel.
    pub ipc: i32,
    /// The number of the control socket.
    pub control: i32,
    /// The number of the hand-off queue.
    pub hand_off: i32,
    /// The number of the IPC channel's shared memory.
    pub memory: i32,
    /// The number of the watchdog lane, if it gets one.
    pub watchdog: Option<i32>,
}

/// The engine's share of a new worker.
#[derive(Debug)]
pub struct Adopted {
    /// The worker.
    pub id: WorkerId,
    /// Its process. JavaScript has it too, sends it signals, and reaps it.
    pub process: Arc<Process>,
    /// Our end of the control socket.
    pub control: OwnedFd,
    /// Our end of the hand-off queue.
    pub hand_off: OwnedFd,
    /// A duplicate of the worker's end, to take back what it did not take.
    pub reclaim: OwnedFd,
    /// Our end of the watchdog lane, if the worker has one.
    pub watchdog: Option<OwnedFd>,
    /// The port that its inspector was given, if it was given one.
    pub inspect_port: Option<u16>,
    /// What the worker counts.
    pub counters: SharedCounters,
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
    /// Our end of the IPC channel, for the JavaScript thread.
    pub channel: Channel,
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
    let (ipc, their_ipc) = lane::stream_pair().map_err(Error::system(NEW_LANE))?;
    let (ring, memory) = memory()?;
    let counters = ring.counters.clone();
    let channel = Channel::new(ipc, ring);
    let (control, their_control) = lane::packet_pair().map_err(Error::system(NEW_LANE))?;
    let (hand_off, reclaim) = lane::packet_pair().map_err(Error::system(NEW_LANE))?;
    // More connections would wait at one worker while others are free; fewer would run dry between
    // two turns of a busy worker's event loop.
    lane::limit_send_buffer(&hand_off, lane::WINDOW).map_err(Error::system("setsockopt"))?;
    let watchdog = numbers.watchdog.map(|number| {
        let (ours, theirs) = lane::packet_pair().map_err(Error::system(NEW_LANE))?;
        Ok::<_, Error>((ours, (number, theirs)))
    });
    let (watchdog, their_watchdog) = watchdog.transpose()?.unzip();
    let ends = [
        (numbers.ipc, &their_ipc),
        (numbers.control, &their_control),
        (numbers.hand_off, &reclaim),
        // A socket says that there is none, see `ring::inherit`.
        (numbers.memory, memory.as_ref().unwrap_or(&their_control)),
    ];
    let their_watchdog = their_watchdog.as_ref().map(|(number, end)| (*number, end));
    for (number, end) in ends.into_iter().chain(their_watchdog) {
        let slot = usize::try_from(number).map_err(|_| io::ErrorKind::InvalidInput.into());
        let slot = slot.map_err(Error::system("dup"))?;
        if program.descriptors.len() <= slot {
            program.descriptors.resize(slot + 1, None);
        }
        program.descriptors[slot] = Some(end.as_raw_fd());
    }
    let is_other_user = program.uid.is_some() || program.gid.is_some();
    let process = Arc::new(spawn::spawn(&program)?);
    let adopted = Adopted {
        id,
        process,
        control,
        hand_off,
        reclaim,
        watchdog,
        inspect_port: None,
        counters,
        queue_timeout,
        is_other_user,
    };
    Ok(Forked { adopted, channel })
}

/// The system call that makes a lane.
const NEW_LANE: &str = "socketpair";

/// The memory of the IPC channel. Without it, all messages go by the stream; so it does where the system
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

/// The IPC channel of a worker that could not be started: it has ended.
///
/// # Errors
/// That of the system call that failed.
pub fn ended_channel() -> Result<Channel> {
    let (message, _) = lane::stream_pair().map_err(Error::system(NEW_LANE))?;
    Ok(Channel::new(message, Ring::unshared().map_err(Error::system("mmap"))?))
}

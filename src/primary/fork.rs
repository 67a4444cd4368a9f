//! A worker begins: its lanes, its process.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use crate::{
    channel::Channel,
    protocol::WorkerId,
    sys::{
        exit::Process,
        lane,
        ring::{self, Ring, Side, Tally},
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
    pub tally: Tally,
    /// How long connections that it has not taken wait for another worker, if it was the last that
    /// served their address. Then they are closed.
    pub hold: Duration,
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
/// the descriptors that `program` already has. `hold` is that of [`Adopted`].
///
/// # Errors
/// As [`spawn::spawn`]; `EMFILE` or `ENFILE` when there are not enough descriptors. Nothing is left
/// open or running then.
pub fn fork(
    id: WorkerId,
    mut program: spawn::Program,
    numbers: LaneNumbers,
    hold: Duration,
) -> io::Result<Forked> {
    let (message, their_message) = lane::stream_pair()?;
    let memory = ring::create()?;
    let ring = Ring::map(&memory, Side::Primary)?;
    let tally = ring.tally.clone();
    let message = Channel::new(message, ring);
    let (control, their_control) = lane::packet_pair()?;
    let (connection, reclaim) = lane::packet_pair()?;
    // More connections would wait at one worker while others are free; fewer would run dry between
    // two turns of a busy worker's event loop.
    lane::limit_send_buffer(&connection, lane::WINDOW)?;
    let ends = [
        (numbers.message, &their_message),
        (numbers.control, &their_control),
        (numbers.connection, &reclaim),
        (numbers.memory, &memory),
    ];
    for (number, end) in ends {
        let slot = usize::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
        if program.descriptors.len() <= slot {
            program.descriptors.resize(slot + 1, None);
        }
        program.descriptors[slot] = Some(end.as_raw_fd());
    }
    let is_other_user = program.uid.is_some() || program.gid.is_some();
    let process = Arc::new(spawn::spawn(&program)?);
    let adopted = Adopted { id, process, control, connection, reclaim, tally, hold, is_other_user };
    Ok(Forked { adopted, message })
}

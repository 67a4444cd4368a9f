//! What is read for operators: the clocks, and what processes use.

use std::time::{Instant, SystemTime};

use super::super::operator::{
    board::Board,
    record::{Moment, Usage, epoch},
};
use crate::sys::{cpu_time_of, memory_of};

/// This moment.
pub(in super::super) fn now() -> Moment {
    Moment { instant: Instant::now(), epoch: epoch(SystemTime::now()) }
}

/// What a process uses now.
pub(super) fn usage_of(pid: i32) -> Usage {
    Usage { memory: memory_of(pid), cpu: cpu_time_of(pid) }
}

/// Reads what all processes use on the caller's thread, if that is not known.
pub(in super::super) fn read_use(board: &Board) {
    if let Some(pids) = board.to_read(Instant::now()) {
        let used = pids.into_iter().map(|(id, pid)| (id, usage_of(pid))).collect();
        board.used(used, Instant::now());
    }
}

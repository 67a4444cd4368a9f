use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    time::Duration,
};

use super::usage::cpu_time_of;
use crate::sys::process_load::{Load, THREADS};

/// `None` if the kernel has no `/proc`, or does not keep these counts.
pub(in crate::sys) fn load_of(pid: i32) -> Option<Load> {
    let main = main_time_of(pid)?;
    // The file of the process would have the sum of all its threads.
    let thread = thread(format!("/proc/{pid}/task/{pid}/stat"))?;
    let is_runnable = thread.is_runnable;
    let may_wait_for_thread =
        !is_runnable && (thread.siblings >= THREADS || has_runnable_thread(pid)?);
    Some(Load { main, all: cpu_time_of(pid)?, is_runnable, may_wait_for_thread })
}

pub(in crate::sys) fn main_time_of(pid: i32) -> Option<Duration> {
    // The first field is the time run, in nanoseconds. The second, the time waited, is useless here:
    // the kernel adds a wait when it ends.
    let counts = read(format!("/proc/{pid}/schedstat"))?;
    counts.split_ascii_whitespace().next()?.parse().map(Duration::from_nanos).ok()
}

/// Reads a file of `/proc` with three system calls; the standard library makes six.
fn read(path: impl AsRef<Path>) -> Option<String> {
    // The longest, a `stat`, has 52 numbers and a name of 64 bytes at most.
    let mut bytes = [0; 2048];
    let length = File::open(path).ok()?.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// The state of one thread.
struct Thread {
    is_runnable: bool,
    /// How many threads the process has, including this one.
    siblings: usize,
}

/// The state follows the name, which is in parentheses and may contain parentheses itself.
fn thread(stat: impl AsRef<Path>) -> Option<Thread> {
    let stat = read(stat)?;
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let is_runnable = fields.next()?.starts_with('R');
    // The 20th of all fields, and the 17th of those after the state.
    let siblings = fields.nth(16)?.parse().ok()?;
    Some(Thread { is_runnable, siblings })
}

fn has_runnable_thread(pid: i32) -> Option<bool> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    // A thread that has ended meanwhile is skipped; new ones may be missed.
    let stats = threads.take(THREADS).map(|it| thread(it.path().join("stat")));
    Some(stats.flatten().any(|thread| thread.is_runnable))
}

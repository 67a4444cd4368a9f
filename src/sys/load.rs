//! What the kernel's scheduler knows of a process.

use std::{fs, path::Path, time::Duration};

/// How the main thread of a process gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The processor time that the main thread has had, up to the last tick or so of the kernel.
    pub main: Duration,
    /// That all threads have had, up to now.
    pub all: Duration,
    /// Whether the main thread has a processor, or waits for one.
    pub is_runnable: bool,
    /// Whether it waits for something else, which may be another thread that is runnable.
    pub may_wait_for_thread: bool,
}

/// How a process gets on now.
///
/// `None` where the kernel does not tell: it has no `/proc`, or keeps no such counts.
pub fn load_of(pid: i32) -> Option<Load> {
    // The time run in nanoseconds comes first. The time waited, next to it, is of no use: a wait
    // is added when it ends.
    let counts = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let main = counts.split_ascii_whitespace().next()?.parse().map(Duration::from_nanos).ok()?;
    let is_runnable = is_runnable(format!("/proc/{pid}/stat"))?;
    let may_wait_for_thread = !is_runnable && has_runnable_thread(pid)?;
    Some(Load { main, all: processor_time(pid)?, is_runnable, may_wait_for_thread })
}

/// The state stands behind the name, which is in parentheses and may hold some itself.
fn is_runnable(stat: impl AsRef<Path>) -> Option<bool> {
    let stat = fs::read_to_string(stat).ok()?;
    Some(stat.rsplit_once(") ")?.1.starts_with('R'))
}

fn has_runnable_thread(pid: i32) -> Option<bool> {
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    // One that has ended meanwhile is not.
    Some(threads.any(|thread| is_runnable(thread.path().join("stat")).unwrap_or(false)))
}

/// The clock that counts the processor time of a process is named after it: see
/// `clock_getcpuclockid(3)`.
fn processor_time(pid: i32) -> Option<Duration> {
    let mut clock = 0;
    // SAFETY: writes one clock id.
    if unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one time.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_spins_is_runnable_and_one_that_sleeps_is_not() {
        let load = |command: &mut Command, wanted: fn(&Load) -> bool| {
            let mut child = command.spawn().unwrap();
            let pid = child.id().cast_signed();
            let found = (0..1_000_000).find_map(|_| load_of(pid).filter(wanted));
            child.kill().unwrap();
            child.wait().unwrap();
            found.is_some()
        };
        let spinning = &mut Command::new("sh");
        assert!(load(spinning.args(["-c", "while :; do :; done"]), |load| {
            load.is_runnable
                && !load.may_wait_for_thread
                && load.main > Duration::from_millis(20)
                && load.all >= load.main
        }));
        assert!(load(Command::new("sleep").arg("60"), |load| {
            !load.is_runnable && !load.may_wait_for_thread
        }));
        assert_eq!(load_of(-1), None);
    }
}

use std::{fs, time::Duration};

use nix::{
    time::ClockId,
    unistd::{SysconfVar, sysconf},
};

pub(in crate::sys) fn memory_of(pid: i32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let resident: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    if resident == 0 {
        // The process has ended, and is not reaped yet.
        return None;
    }
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    resident.checked_mul(u64::try_from(page).ok()?)
}

/// `CPUCLOCK_SCHED` of the kernel's `posix-timers_types.h`.
const SCHEDULED: libc::clockid_t = 2;

/// See `clock_getcpuclockid(3)`, which makes a system call more, to check the pid.
pub(in crate::sys) fn cpu_time_of(pid: i32) -> Option<Duration> {
    Some(ClockId::from_raw((!pid << 3) | SCHEDULED).now().ok()?.into())
}

/// How many descriptors the table of this process has room for: all that it has ever had, at least. `None` if
/// the kernel does not tell.
pub(in crate::sys) fn descriptor_table_size() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("FDSize:"))?.trim().parse().ok()
}

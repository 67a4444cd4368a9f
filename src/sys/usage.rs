//! How much memory and processor time a process uses.

use std::time::Duration;

use nix::time::ClockId;

use super::platform::usage as platform;

/// The bytes of a process that are resident in memory, including those that it shares with others.
///
/// `None` if there is no such process, or the kernel does not tell.
pub fn memory_of(pid: i32) -> Option<u64> {
    if pid > 0 { platform::memory_of(pid) } else { None }
}

/// The processor time of all threads of a process, up to now.
///
/// `None` as with [`memory_of`].
pub fn cpu_time_of(pid: i32) -> Option<Duration> {
    if pid > 0 { platform::cpu_time_of(pid) } else { None }
}

/// The processor time of the calling thread, up to now.
pub fn thread_time() -> Duration {
    // It exists for every thread.
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        process::{Command, id},
        thread,
    };

    use super::*;

    fn own_pid() -> i32 {
        id().cast_signed()
    }

    #[test]
    fn memory_counts_once_it_is_used() {
        // Much more than other tests use at the same time.
        const SIZE: usize = 256 * 1024 * 1024;
        let before = memory_of(own_pid()).unwrap();
        assert!(before > 1024 * 1024, "{before} bytes");
        let used = black_box(vec![1u8; SIZE]);
        let after = memory_of(own_pid()).unwrap();
        assert!(after > before + SIZE as u64 / 2, "{before} bytes, then {after}");
        drop(used);
    }

    #[test]
    fn processor_time_counts_all_threads() {
        let before = cpu_time_of(own_pid()).unwrap();
        // On a busy machine this takes longer, and other tests can only add to it.
        let spin = || while thread_time() < Duration::from_millis(30) {};
        thread::scope(|scope| drop([scope.spawn(spin), scope.spawn(spin)]));
        let used = cpu_time_of(own_pid()).unwrap() - before;
        assert!(used >= Duration::from_millis(50), "{used:?}");
    }

    #[test]
    fn a_process_that_sleeps_uses_memory_and_hardly_any_processor_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let (memory, time) = (memory_of(pid), cpu_time_of(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            memory.is_some_and(|bytes| (4096..64 * 1024 * 1024).contains(&bytes)),
            "{memory:?}"
        );
        assert!(time.is_some_and(|time| time < Duration::from_secs(1)), "{time:?}");
        for pid in [pid, 0, -1] {
            assert_eq!((memory_of(pid), cpu_time_of(pid)), (None, None));
        }
    }
}

//! What the kernel's scheduler knows of a process.

use std::time::Duration;

use super::platform;

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
/// `None` where the kernel does not tell.
pub fn load_of(pid: i32) -> Option<Load> {
    platform::load::load_of(pid)
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

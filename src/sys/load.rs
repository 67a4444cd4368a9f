//! What the kernel's scheduler knows of a process.

use std::time::Duration;

use super::platform;
pub use super::process_load::Load;

/// The state of a process at this moment.
///
/// `None` if the kernel does not report it.
pub fn load_of(pid: i32) -> Option<Load> {
    platform::load::load_of(pid)
}

/// The processor time of the main thread of a process, exact to about one tick of the kernel.
///
/// `None` as with [`load_of`].
pub fn main_time_of(pid: i32) -> Option<Duration> {
    platform::load::main_time_of(pid)
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command, thread};

    use super::*;

    /// Tells a process that a test starts how many threads to have.
    const MANY: &str = "RS_CLUSTER_TEST_THREADS";

    #[test]
    fn have_threads_if_asked_to() {
        if let Some(count) = env::var(MANY).ok().and_then(|count| count.parse().ok()) {
            let sleeping: Vec<_> = (0..count).map(|_| thread::spawn(thread::park)).collect();
            sleeping.into_iter().for_each(|it| it.join().unwrap());
        }
    }

    #[test]
    fn a_process_of_too_many_threads_may_wait_for_one_of_them() {
        for (count, may_wait) in [(10, false), (100, true)] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "sys::load::tests::have_threads_if_asked_to"]);
            let mut child = command.env(MANY, count.to_string()).spawn().unwrap();
            let pid = child.id().cast_signed();
            let is_as_expected =
                |load: &Load| !load.is_runnable && load.may_wait_for_thread == may_wait;
            let in_a_row = (0..20_000).scan(0, |count, _| {
                *count =
                    if load_of(pid).is_some_and(|it| is_as_expected(&it)) { *count + 1 } else { 0 };
                Some(*count)
            });
            // All have been started by then, and sleep.
            let found = in_a_row.into_iter().find(|count| *count == 200);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(found.is_some(), "{count} threads");
        }
    }

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
        assert_eq!((load_of(-1), main_time_of(-1)), (None, None));
    }
}

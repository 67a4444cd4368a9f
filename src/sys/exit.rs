//! How a child process ends. A descriptor watches it, so libuv's `SIGCHLD` handler is left alone, and a
//! signal never reaches another process that has got the same pid.

use std::io;

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use super::platform::children::{children_of, is_stopped};
pub use super::platform::exit::Process;
pub(super) use super::platform::exit::kill_and_reap;
pub use super::wait::Exit;

/// Ends this process at once, without running exit handlers, because the thread that would run them is
/// stuck.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit may be called from any thread at any time.
    unsafe { libc::_exit(code) }
}

impl Process {
    /// Sends a signal to the process and to all others of the group that it leads, or to the process alone if
    /// it was not started as the leader of a group.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub fn signal_group(&self, signal: i32) -> io::Result<()> {
        if self.leads_group && self.signal_number_of_group(signal).is_ok() {
            return Ok(());
        }
        // It may have left the group, and on macOS a group of which all processes have ended gets no signal.
        self.signal(signal)
    }

    /// Kills what is left of the group that it leads, when it has ended itself. Only until it is reaped the
    /// number of the group is certainly its own.
    pub fn kill_rest_of_group(&self) {
        if self.leads_group {
            // It fails where none is left.
            let _ = self.signal_number_of_group(libc::SIGKILL);
        }
    }

    /// If it is stopped, kills its children, with the groups that they lead: until it goes on, it can't reap them, so
    /// their numbers are their own. Says whether it is.
    pub fn kill_children(&self) -> bool {
        let is_stopped = is_stopped(self.pid());
        let children = if is_stopped { children_of(&self.pid().to_string()) } else { None };
        for pid in children.unwrap_or_default().into_iter().map(Pid::from_raw) {
            // Each fails for one that has ended, and the first for one that leads no group.
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = kill(pid, Signal::SIGKILL);
        }
        is_stopped
    }

    /// Kills it, and waits for its end.
    pub fn end(&self) {
        if self.signal(libc::SIGKILL).is_ok() {
            self.wait_for_end();
        }
    }
}

/// The name of a signal: `SIGKILL`.
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| number.to_string(), |it| it.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, process::Command};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn wait_for(process: &Process) {
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_process_can_be_signalled_until_it_is_reaped() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::watch(child.id().cast_signed()).unwrap();
        assert_eq!(process.pid(), child.id().cast_signed());
        process.signal(0).unwrap();
        assert_eq!(process.status().unwrap(), None);
        process.reap();
        process.signal(libc::SIGTERM).unwrap();
        wait_for(&process);
        for _ in 0..2 {
            assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGTERM)));
            process.signal(0).unwrap();
        }
        process.reap();
        assert_eq!(process.status().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        let gone = process.signal(libc::SIGTERM).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_process_may_end_before_it_is_watched() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let first = Process::watch(pid).unwrap();
        drop(child.stdin.take());
        wait_for(&first);
        let second = Process::watch(pid).unwrap();
        wait_for(&second);
        assert_eq!(second.status().unwrap(), Some(Exit::Code(0)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_real_time_signal_ends_a_process_too() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::watch(child.id().cast_signed()).unwrap();
        process.signal(libc::SIGRTMIN()).unwrap();
        wait_for(&process);
        assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGRTMIN())));
    }

    fn is_gone(pid: i32) -> bool {
        let gone = Process::watch(pid).err().and_then(|error| error.raw_os_error());
        gone == Some(libc::ESRCH)
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn an_abandoned_process_leaves_no_zombie() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        kill_and_reap(pid);
        assert!(is_gone(pid));
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_process_that_has_ended_is_reaped_with_its_last_holder() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = Process::watch(pid).unwrap();
        process.end();
        assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGKILL)));
        assert!(!is_gone(pid));
        drop(process);
        assert!(is_gone(pid));
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_process_that_is_left_stays_a_zombie_for_whoever_inherits_it() {
        for ends_before in [true, false] {
            let child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
            let pid = child.id().cast_signed();
            let process = Process::watch(pid).unwrap();
            process.leave();
            if ends_before {
                process.end();
            }
            drop(process);
            // As in the process that inherits it.
            let inherited = Process::watch(pid).unwrap();
            inherited.end();
            assert_eq!(inherited.status().unwrap(), Some(Exit::Signal(libc::SIGKILL)));
            drop(inherited);
            assert!(is_gone(pid));
        }
    }
}

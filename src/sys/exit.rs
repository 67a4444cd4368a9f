//! How a child process ends: watched by a descriptor, so that libuv's `SIGCHLD` handler stays alone,
//! and a signal can never hit a stranger who got the same number.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

pub use super::platform::exit::Process;

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Of a status that has one of them, or tells of something else.
    pub(super) fn new(code: Option<i32>, signal: Option<i32>) -> Option<Self> {
        code.map(Self::Code).or(signal.map(Self::Signal))
    }
}

/// Kills a child that nobody watches yet, and takes its exit.
pub fn abandon(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Neither can fail on a child that only we know of.
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn wait_for(process: &Process) {
        poll(&mut [PollFd::new(process, PollFlags::IN)], None).unwrap();
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_running_process_can_be_signalled_and_an_ended_one_can_not() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::watch(child.id().cast_signed()).unwrap();
        process.signal(0).unwrap();
        assert_eq!(process.reap().unwrap(), None);
        process.signal(libc::SIGTERM).unwrap();
        wait_for(&process);
        assert_eq!(process.reap().unwrap(), Some(Exit::Signal(libc::SIGTERM)));
        assert_eq!(process.reap().unwrap_err().raw_os_error(), Some(libc::ECHILD));
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
        assert_eq!(second.reap().unwrap(), Some(Exit::Code(0)));
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn an_abandoned_process_leaves_no_zombie() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        abandon(pid);
        assert_eq!(Process::watch(pid).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}

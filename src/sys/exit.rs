//! How a child process ends: watched by pidfd, so that libuv's `SIGCHLD` handler stays alone, and
//! a signal can never hit a stranger who got the same number.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// A descriptor that becomes readable when the process ends.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`; `ESRCH` when there is no such process.
pub fn watch(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal; 0 only asks whether the process is there.
///
/// # Errors
/// `ESRCH` when it has ended, `EPERM`, `EINVAL` for a number that is no signal.
pub fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0u32);
    // SAFETY: the call takes a descriptor, a number, a null pointer and no flags.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, info, flags)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Takes the exit of a child, or `None` while it runs.
///
/// # Errors
/// `ECHILD` when somebody else has taken it.
pub fn reap(process: BorrowedFd<'_>) -> io::Result<Option<Exit>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let Some(status) = waitid(WaitId::PidFd(process), options)? else {
        return Ok(None);
    };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(Exit::Code(code)),
        (None, Some(signal)) => Some(Exit::Signal(signal)),
        (None, None) => None,
    })
}

/// Kills a child that nobody watches yet, and takes its exit.
pub fn abandon(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Neither can fail on a child that only we know of.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd, process::Command};

    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_running_process_can_be_signalled_and_an_ended_one_can_not() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = watch(child.id().cast_signed()).unwrap();
        signal(process.as_fd(), 0).unwrap();
        assert_eq!(reap(process.as_fd()).unwrap(), None);
        signal(process.as_fd(), libc::SIGTERM).unwrap();
        let mut polled = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None).unwrap();
        assert_eq!(reap(process.as_fd()).unwrap(), Some(Exit::Signal(libc::SIGTERM)));
        assert_eq!(reap(process.as_fd()).unwrap_err().raw_os_error(), Some(libc::ECHILD));
        let gone = signal(process.as_fd(), libc::SIGTERM).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn an_abandoned_process_leaves_no_zombie() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        abandon(pid);
        assert_eq!(watch(pid).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}

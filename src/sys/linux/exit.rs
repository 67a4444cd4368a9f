use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::sys::exit::Exit;

/// A child process, by pidfd: a descriptor that becomes readable when it ends.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// Watches a child.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `ESRCH` when there is no such process.
    pub fn watch(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal; 0 only asks whether the process is there.
    ///
    /// # Errors
    /// `ESRCH` when it has ended, `EPERM`, `EINVAL` for a number that is no signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0u32);
        // SAFETY: the call takes a descriptor, a number, a null pointer and no flags.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.as_raw_fd(), signal, info, flags)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes its exit, or `None` while it runs.
    ///
    /// # Errors
    /// `ECHILD` when somebody else has taken it.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let Some(status) = waitid(WaitId::PidFd(self.as_fd()), options)? else {
            return Ok(None);
        };
        Ok(Exit::new(status.exit_status(), status.terminating_signal()))
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

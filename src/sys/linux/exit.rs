use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
    thread,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, fcntl_dupfd_cloexec},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, pidfd_open,
        waitid,
    },
};

use crate::sys::exit::Exit;

/// The thread that waits where there are no pidfds needs next to nothing.
const STACK: usize = 64 * 1024;

/// A child process, and a descriptor that becomes readable when it ends.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    end: End,
    /// The number may belong to another process from then on. Locked while the number is used.
    is_reaped: Mutex<bool>,
}

/// What tells that a process has ended.
#[derive(Debug)]
enum End {
    Pidfd(OwnedFd),
    /// An eventfd, to which a thread writes.
    Told(OwnedFd),
}

impl Process {
    /// Watches a child.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `EAGAIN` when the thread that stands in for a pidfd can't be started;
    /// `ESRCH` when there is no such process.
    pub fn watch(pid: i32) -> io::Result<Self> {
        let child = child(pid)?;
        match pidfd_open(child, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self::new(child, End::Pidfd(pidfd))),
            // An older kernel, or a filter that does not let us.
            Err(Errno::NOSYS | Errno::PERM) => Self::watch_by_thread(child),
            Err(error) => Err(error.into()),
        }
    }

    /// A child whose pidfd came with it.
    pub(in crate::sys) fn with_pidfd(pid: i32, pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(child(pid)?, End::Pidfd(pidfd)))
    }

    fn new(pid: Pid, end: End) -> Self {
        Self { pid, end, is_reaped: Mutex::new(false) }
    }

    /// The thread takes no exit, so the number stays the child's for as long as it is used here.
    fn watch_by_thread(pid: Pid) -> io::Result<Self> {
        let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let teller = fcntl_dupfd_cloexec(&told, 0)?;
        let wait = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            // It fails only for a counter that is full.
            let _ = rustix::io::write(&teller, &1u64.to_ne_bytes());
        };
        thread::Builder::new().name("rs-cluster-wait".into()).stack_size(STACK).spawn(wait)?;
        Ok(Self::new(pid, End::Told(told)))
    }

    /// The process id: the child's own until [`reap`](Self::reap).
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal; 0 only asks whether the process is there. One that has ended is there until it
    /// is reaped.
    ///
    /// # Errors
    /// `ESRCH` once it is reaped, `EPERM`, `EINVAL` for a number that is not that of a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped {
            return Err(Errno::SRCH.into());
        }
        if let End::Pidfd(pidfd) = &self.end {
            match signal_by_pidfd(pidfd, signal) {
                // There is no such call, or a filter does not let us make it.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
                result => return result,
            }
        }
        // Someone else may have reaped it.
        match self.wait(WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT) {
            Err(Errno::CHILD) => return Err(Errno::SRCH.into()),
            result => result?,
        };
        // SAFETY: numbers only. The child is not reaped, so the number is still its own.
        let result = unsafe { libc::kill(self.pid(), signal) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How it ended, or `None` while it runs. It stays a zombie, and the pid its own.
    ///
    /// # Errors
    /// `ECHILD` when it was reaped already.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        let status = self.wait(WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?;
        Ok(status.and_then(exit))
    }

    /// Waits until it ends, and leaves it a zombie.
    pub(in crate::sys) fn wait_for_end(&self) {
        while matches!(self.wait(WaitIdOptions::NOWAIT), Err(Errno::INTR)) {}
    }

    /// Gives the pid of a child that has ended back to the system. Does nothing while it runs.
    pub fn reap(&self) {
        let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_reaped {
            // An error tells that someone else has reaped it.
            *is_reaped = !matches!(self.wait(WaitIdOptions::NOHANG), Ok(None));
        }
    }

    fn wait(&self, options: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
        let options = options | WaitIdOptions::EXITED;
        if let End::Pidfd(pidfd) = &self.end {
            match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
                // A kernel that knows pidfds, but not yet here.
                Err(Errno::INVAL) => {}
                result => return result,
            }
        }
        waitid(WaitId::Pid(self.pid), options)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reap();
    }
}

fn child(pid: i32) -> io::Result<Pid> {
    Ok(Pid::from_raw(pid).filter(|_| pid > 0).ok_or(Errno::SRCH)?)
}

fn exit(status: WaitIdStatus) -> Option<Exit> {
    Exit::new(status.exit_status(), status.terminating_signal())
}

fn signal_by_pidfd(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0u32);
    // SAFETY: the call takes a descriptor, a number, a null pointer and no flags.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Kills and reaps a child that can't be watched.
pub(in crate::sys) fn abandon(pid: i32) {
    let Ok(pid) = child(pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // Where SIGCHLD is ignored it may have ended, and its number be used again.
    if waitid(WaitId::Pid(pid), options).is_ok() {
        // Neither can fail on a child of ours.
        let _ = kill_process(pid, Signal::KILL);
        while matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED), Err(Errno::INTR)) {}
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.end {
            End::Pidfd(end) | End::Told(end) => end.as_fd(),
        }
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn without_pidfds_a_thread_tells_of_the_end_and_the_pid_stays_until_it_is_reaped() {
        let pid = Command::new("sleep").arg("60").spawn().unwrap().id().cast_signed();
        let process = Process::watch_by_thread(child(pid).unwrap()).unwrap();
        process.signal(0).unwrap();
        assert_eq!(process.status().unwrap(), None);
        process.signal(libc::SIGTERM).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
        assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGTERM)));
        process.signal(0).unwrap();
        process.reap();
        assert_eq!(process.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(process.status().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    }

    #[test]
    fn without_pidfds_a_process_that_someone_else_reaps_is_not_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = super::child(child.id().cast_signed()).unwrap();
        let process = Process::watch_by_thread(pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
        assert_eq!(process.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}

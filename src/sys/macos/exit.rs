use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, kill_process, waitid,
        waitpid,
    },
};

use super::queue::Queue;
use crate::sys::exit::Exit;

/// A child process, and a kernel queue that becomes readable when it ends.
#[derive(Debug)]
pub struct Process {
    queue: Queue,
    pid: Pid,
    /// Its number may be a stranger's from then on. Locked while the number is used.
    is_reaped: Mutex<bool>,
}

impl Process {
    /// Watches a child.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `ESRCH` when there is no such process.
    pub fn watch(pid: i32) -> io::Result<Self> {
        let none = || io::Error::from_raw_os_error(libc::ESRCH);
        let queue = Queue::new()?;
        let child = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(none)?;
        let ident = usize::try_from(pid).map_err(|_| none())?;
        match queue.watch(ident, libc::EVFILT_PROC, libc::NOTE_EXIT, 0) {
            // One that has ended is none any more, until somebody takes its exit.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) && is_zombie(child) => {
                queue.trigger()?;
            }
            result => result?,
        }
        Ok(Self { queue, pid: child, is_reaped: Mutex::new(false) })
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
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: numbers only. The process is ours and not reaped, so the number is still its own.
        let result = unsafe { libc::kill(self.pid.as_raw_nonzero().get(), signal) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How it ended, or `None` while it runs. It stays a zombie, and the pid its own.
    ///
    /// # Errors
    /// `ECHILD` when it was reaped already.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        // Asking takes nothing out of the queue, so it tells as often as it is asked.
        let mut polled = [PollFd::new(&self.queue, PollFlags::IN)];
        if poll(&mut polled, Some(&Timespec::default()))? == 0 {
            return Ok(None);
        }
        // The queue tells of the end an instant before there is a status, so this waits.
        Ok(self.wait()?.and_then(|it| Exit::new(it.exit_status(), it.terminating_signal())))
    }

    /// Waits until it ends, and leaves it a zombie.
    pub(in crate::sys) fn wait_for_end(&self) {
        // An error tells that someone else has reaped it.
        let _ = self.wait();
    }

    /// Gives the pid of a child that has ended back to the system. Does nothing while it runs.
    pub fn reap(&self) {
        let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_reaped {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            // An error tells that someone else has reaped it.
            *is_reaped = !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None));
        }
    }

    fn wait(&self) -> rustix::io::Result<Option<WaitIdStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.pid), options) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reap();
    }
}

/// Kills and reaps a child that can't be watched.
pub(in crate::sys) fn abandon(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) {
        // Neither can fail on a child of ours.
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }
}

/// Whether a child has ended, and nobody has taken its exit.
fn is_zombie(child: Pid) -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let number = child.as_raw_nonzero().get().cast_unsigned();
    // SAFETY: the kernel writes no more than the structure.
    unsafe { libc::waitid(libc::P_PID, number, info.as_mut_ptr(), options) == 0 }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.queue.as_fd().as_raw_fd()
    }
}

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, WaitOptions, waitpid},
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

    /// Sends a signal; 0 only asks whether the process is there.
    ///
    /// # Errors
    /// `ESRCH` when it has ended, `EPERM`, `EINVAL` for a number that is no signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: numbers only. The process is ours and not reaped, so the number is still its own.
        let result = unsafe { libc::kill(self.pid.as_raw_nonzero().get(), signal) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes its exit, or `None` while it runs.
    ///
    /// # Errors
    /// `ECHILD` when somebody else has taken it.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        // Asking takes nothing out of the queue, so it tells as often as it is asked.
        let mut polled = [PollFd::new(&self.queue, PollFlags::IN)];
        if poll(&mut polled, Some(&Timespec::default()))? == 0 {
            return Ok(None);
        }
        let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped {
            return Err(io::Error::from_raw_os_error(libc::ECHILD));
        }
        // The queue tells of the end an instant before the exit can be taken, so this waits.
        let status = waitpid(Some(self.pid), WaitOptions::empty());
        *is_reaped = true;
        let Some((_, status)) = status? else { return Ok(None) };
        Ok(Exit::new(status.exit_status(), status.terminating_signal()))
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

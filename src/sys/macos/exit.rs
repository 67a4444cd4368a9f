use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        event::{EventFilter, FilterFlag},
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};

use super::queue::Queue;
use crate::sys::wait::{Exit, waitid};

/// A child process, and a kernel queue that becomes readable when it ends.
#[derive(Debug)]
pub struct Process {
    queue: Queue,
    pid: Pid,
    /// Whether it was started as the leader of a process group.
    pub(in crate::sys) leads_group: bool,
    /// The number may belong to another process from then on. Locked while the number is used.
    is_reaped: Mutex<bool>,
    /// Whether it stays a zombie when the last holder drops this.
    is_left: AtomicBool,
}

impl Process {
    /// Watches a child.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `ESRCH` when there is no such process.
    pub fn watch(pid: i32) -> io::Result<Self> {
        let queue = Queue::new()?;
        let child = child(pid)?;
        let ident = pid.unsigned_abs() as usize;
        match queue.watch(ident, EventFilter::EVFILT_PROC, FilterFlag::NOTE_EXIT, 0) {
            // The kernel does not watch a process that has ended, even if it is not reaped yet.
            Err(Errno::ESRCH) if is_zombie(child) => queue.trigger()?,
            result => result?,
        }
        Ok(Self {
            queue,
            pid: child,
            leads_group: false,
            is_reaped: Mutex::new(false),
            is_left: AtomicBool::new(false),
        })
    }

    /// Watches a process that is a child of another one. How it ends is not known.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn watch_other(pid: i32) -> io::Result<Self> {
        Self::watch(pid)
    }

    /// The process id: the child's own until [`reap`](Self::reap).
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Sends a signal; 0 only checks whether the process exists. A process that has ended exists until
    /// it is reaped.
    ///
    /// # Errors
    /// `ESRCH` once it is reaped, `EPERM`, `EINVAL` for a number that is not that of a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.signal_number(self.pid(), signal)
    }

    /// As [`signal`](Self::signal), to all processes of the group with its number.
    pub(in crate::sys) fn signal_number_of_group(&self, signal: i32) -> io::Result<()> {
        self.signal_number(-self.pid(), signal)
    }

    /// Signals its pid, or the group of its negated pid.
    fn signal_number(&self, number: i32, signal: i32) -> io::Result<()> {
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped {
            return Err(Errno::ESRCH.into());
        }
        // By `libc`, because `nix` refuses numbers that it does not know before the kernel can.
        // SAFETY: numbers only. The process is ours and not reaped, so the number is still its own.
        let result = unsafe { libc::kill(number, signal) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How it ended, or `None` while it runs. This does not reap it, so its pid stays valid.
    ///
    /// # Errors
    /// `ECHILD` when it was reaped already.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        // Polling takes nothing out of the queue, so it stays readable.
        let mut polled = [PollFd::new(self.queue.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, PollTimeout::ZERO)? == 0 {
            return Ok(None);
        }
        // The queue reports the end shortly before there is a status, so this waits.
        Ok(self.wait()?)
    }

    /// Waits until it ends, and leaves it a zombie.
    pub(in crate::sys) fn wait_for_end(&self) {
        // An error means that other code has reaped it.
        let _ = self.wait();
    }

    /// Reaps a child that has ended, which frees its pid. Does nothing while it runs.
    pub fn reap(&self) {
        let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_reaped {
            // An error means that other code has reaped it.
            *is_reaped = !matches!(waitid(libc::P_PID, self.pid(), libc::WNOHANG), Ok(None));
        }
    }

    /// Leaves it a zombie if it ends and nothing here calls [`reap`](Self::reap): the process that inherits it learns
    /// then how it has ended.
    pub fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }

    fn wait(&self) -> nix::Result<Option<Exit>> {
        loop {
            match waitid(libc::P_PID, self.pid(), libc::WNOWAIT) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_left.load(Ordering::Relaxed) {
            self.reap();
        }
    }
}

/// Kills and reaps a child that can't be watched.
pub(in crate::sys) fn kill_and_reap(pid: i32) {
    if let Ok(pid) = child(pid) {
        // Neither call can fail for our own child.
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
    }
}

fn child(pid: i32) -> nix::Result<Pid> {
    if pid > 0 { Ok(Pid::from_raw(pid)) } else { Err(Errno::ESRCH) }
}

/// Whether a child has ended and is not reaped yet.
fn is_zombie(child: Pid) -> bool {
    waitid(libc::P_PID, child.as_raw(), libc::WNOHANG | libc::WNOWAIT).is_ok()
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

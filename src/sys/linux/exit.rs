use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        eventfd::{EfdFlags, EventFd},
        signal::{Signal, kill},
    },
    unistd::{Pid, write},
};

use super::orphans::Kept;
use crate::sys::wait::{Exit, waitid};

/// Enough for the thread that waits for a child on kernels without pidfds.
const STACK: usize = 64 * 1024;

/// How often to look for the end of a process that is not a child, on kernels without pidfds.
const INTERVAL: Duration = Duration::from_millis(100);

/// A process, mostly a child, and a descriptor that becomes readable when it ends.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    end: End,
    /// Whether it was started by this process. Only then it is certainly a zombie until it is reaped here.
    is_own: bool,
    /// Whether it was started as the leader of a process group.
    pub(in crate::sys) leads_group: bool,
    /// The number may belong to another process from then on. Locked while the number is used.
    is_reaped: Mutex<bool>,
    /// Whether it stays a zombie when the last holder drops this.
    is_left: AtomicBool,
    /// Until it is reaped.
    kept: Mutex<Option<Kept>>,
}

/// What becomes readable when a process has ended.
#[derive(Debug)]
enum End {
    Pidfd(OwnedFd),
    /// An eventfd, to which a thread writes.
    EventFd(OwnedFd),
}

impl Process {
    /// Watches a child.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `EAGAIN` when the thread that stands in for a pidfd can't be started;
    /// `ESRCH` when there is no such process.
    pub fn watch(pid: i32) -> io::Result<Self> {
        let child = child(pid)?;
        match pidfd_open(child) {
            Ok(pidfd) => Ok(Self::new(child, End::Pidfd(pidfd))),
            // An older kernel, or a seccomp filter.
            Err(Errno::ENOSYS | Errno::EPERM) => Self::watch_by_thread(child),
            Err(error) => Err(error.into()),
        }
    }

    /// Watches a process that may be a child of another one, or become a child of this one later. Only while it is a
    /// child, [`status`](Self::status) says how it ended.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn watch_other(pid: i32) -> io::Result<Self> {
        let other = child(pid)?;
        let end = match pidfd_open(other) {
            Ok(pidfd) => End::Pidfd(pidfd),
            Err(Errno::ENOSYS | Errno::EPERM) => End::EventFd(when_gone(other)?),
            Err(error) => return Err(error.into()),
        };
        let mut process = Self::new(other, end);
        process.is_own = false;
        Ok(process)
    }

    /// A child that was started together with its pidfd.
    pub(in crate::sys) fn with_pidfd(pid: i32, pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(child(pid)?, End::Pidfd(pidfd)))
    }

    fn new(pid: Pid, end: End) -> Self {
        let kept = Mutex::new(Some(Kept::new(pid.as_raw())));
        Self {
            pid,
            end,
            is_own: true,
            leads_group: false,
            is_reaped: Mutex::new(false),
            is_left: AtomicBool::new(false),
            kept,
        }
    }

    /// The thread does not reap the child, so its pid stays valid while it is used here.
    fn watch_by_thread(pid: Pid) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = OwnedFd::from(EventFd::from_value_and_flags(0, flags)?);
        let copy = event.try_clone()?;
        let wait = move || {
            while matches!(waitid(libc::P_PID, pid.as_raw(), libc::WNOWAIT), Err(Errno::EINTR)) {}
            // Fails only if the counter is full.
            let _ = write(&copy, &1u64.to_ne_bytes());
        };
        thread::Builder::new().name("rs-cluster-wait".into()).stack_size(STACK).spawn(wait)?;
        Ok(Self::new(pid, End::EventFd(event)))
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
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped {
            return Err(Errno::ESRCH.into());
        }
        if let End::Pidfd(pidfd) = &self.end {
            match signal_by_pidfd(pidfd, signal) {
                // An older kernel, or a seccomp filter.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
                result => return result,
            }
        }
        self.signal_number(self.pid(), signal)
    }

    /// As [`signal`](Self::signal), to all processes of the group with its number.
    pub(in crate::sys) fn signal_number_of_group(&self, signal: i32) -> io::Result<()> {
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_reaped { Err(Errno::ESRCH.into()) } else { self.signal_number(-self.pid(), signal) }
    }

    /// Signals its pid, or the group of its negated pid.
    fn signal_number(&self, number: i32, signal: i32) -> io::Result<()> {
        // Other code may have reaped it.
        match self.wait(libc::WNOHANG | libc::WNOWAIT) {
            Err(Errno::ECHILD) if self.is_own => return Err(Errno::ESRCH.into()),
            Err(Errno::ECHILD) => None,
            result => result?,
        };
        // By `libc`, because `nix` does not know the numbers of real-time signals.
        // SAFETY: numbers only. A child is not reaped, so the number is still its own; that of another process is, if
        // that runs.
        let result = unsafe { libc::kill(number, signal) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// How it ended, or `None` while it runs. This does not reap it, so its pid stays valid.
    ///
    /// # Errors
    /// `ECHILD` when it was reaped already.
    pub fn status(&self) -> io::Result<Option<Exit>> {
        Ok(self.wait(libc::WNOHANG | libc::WNOWAIT)?)
    }

    /// Waits until it ends, and leaves it a zombie.
    pub(in crate::sys) fn wait_for_end(&self) {
        while matches!(self.wait(libc::WNOWAIT), Err(Errno::EINTR)) {}
    }

    /// Reaps a child that has ended, which frees its pid. Does nothing while it runs.
    pub fn reap(&self) {
        let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_reaped {
            // An error means that other code has reaped it.
            *is_reaped = !matches!(self.wait(libc::WNOHANG), Ok(None));
        }
        if *is_reaped {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Leaves it a zombie if it ends and nothing here calls [`reap`](Self::reap): the process that inherits it learns
    /// then how it has ended.
    pub fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }

    fn wait(&self, options: libc::c_int) -> nix::Result<Option<Exit>> {
        if let End::Pidfd(pidfd) = &self.end {
            match waitid(libc::P_PIDFD, pidfd.as_raw_fd(), options) {
                // This kernel has pidfds, but its `waitid` does not take them.
                Err(Errno::EINVAL) => {}
                result => return result,
            }
        }
        waitid(libc::P_PID, self.pid(), options)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_left.load(Ordering::Relaxed) {
            self.reap();
        }
    }
}

fn child(pid: i32) -> io::Result<Pid> {
    if pid > 0 { Ok(Pid::from_raw(pid)) } else { Err(Errno::ESRCH.into()) }
}

/// What becomes readable when a process is gone, or is a child that has ended. A thread looks from time to time.
fn when_gone(pid: Pid) -> io::Result<OwnedFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = OwnedFd::from(EventFd::from_value_and_flags(0, flags)?);
    let copy = event.try_clone()?;
    kill(pid, None)?;
    let has_gone = move || match waitid(libc::P_PID, pid.as_raw(), libc::WNOHANG | libc::WNOWAIT) {
        Err(Errno::ECHILD) => kill(pid, None) == Err(Errno::ESRCH),
        status => matches!(status, Ok(Some(_))),
    };
    let wait = move || {
        while !has_gone() {
            thread::sleep(INTERVAL);
        }
        // Fails only if the counter is full.
        let _ = write(&copy, &1u64.to_ne_bytes());
    };
    thread::Builder::new().name("rs-cluster-wait".into()).stack_size(STACK).spawn(wait)?;
    Ok(event)
}

/// A descriptor for a child, which `nix` can't make.
fn pidfd_open(child: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: numbers only.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
    // SAFETY: the kernel has just made this descriptor for us.
    Errno::result(pidfd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn signal_by_pidfd(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let (info, flags) = (std::ptr::null::<libc::siginfo_t>(), 0u32);
    // `nix` does not have the call.
    // SAFETY: the call takes a descriptor, a number, a null pointer and no flags.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, flags)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Kills and reaps a child that can't be watched.
pub(in crate::sys) fn kill_and_reap(pid: i32) {
    let Ok(pid) = child(pid) else { return };
    // If SIGCHLD is ignored, the child may have ended already, and its pid may belong to another
    // process.
    if waitid(libc::P_PID, pid.as_raw(), libc::WNOWAIT | libc::WNOHANG).is_ok() {
        // Neither call can fail for our own child.
        let _ = kill(pid, Signal::SIGKILL);
        while matches!(waitid(libc::P_PID, pid.as_raw(), 0), Err(Errno::EINTR)) {}
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pidfd(end) | Self::EventFd(end) => end.as_fd(),
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Child, Command, Stdio},
    };

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    #[test]
    fn without_pidfds_a_thread_signals_the_end_and_the_pid_stays_until_it_is_reaped() {
        let pid = Command::new("sleep").arg("60").spawn().unwrap().id().cast_signed();
        let process = Process::watch_by_thread(child(pid).unwrap()).unwrap();
        process.signal(0).unwrap();
        assert_eq!(process.status().unwrap(), None);
        process.signal(libc::SIGTERM).unwrap();
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGTERM)));
        process.signal(0).unwrap();
        process.reap();
        assert_eq!(process.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(process.status().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    }

    /// The pid of a process whose parent is another one, and what keeps it running.
    fn grandchild() -> (i32, Child) {
        let script = "cat <&3 >/dev/null & echo $!; wait";
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec 3<&0; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (line.trim().parse().unwrap(), child)
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped by the code under test")]
    fn a_process_of_another_parent_is_watched_and_signalled_with_and_without_pidfds() {
        for has_pidfds in [true, false] {
            let (pid, mut parent) = grandchild();
            let process = if has_pidfds {
                Process::watch_other(pid).unwrap()
            } else {
                let end = End::EventFd(when_gone(Pid::from_raw(pid)).unwrap());
                let mut process = Process::new(Pid::from_raw(pid), end);
                process.is_own = false;
                process
            };
            let is_readable = |timeout: PollTimeout| {
                poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
            };
            assert!(!is_readable(PollTimeout::ZERO));
            process.signal(0).unwrap();
            process.signal(libc::SIGTERM).unwrap();
            assert!(is_readable(PollTimeout::NONE));
            assert_eq!(process.status().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            parent.wait().unwrap();
            assert_eq!(process.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        }
        // One that is a child has a status.
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let end = End::EventFd(when_gone(Pid::from_raw(child.id().cast_signed())).unwrap());
        poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        let process = Process::watch_other(child.id().cast_signed()).unwrap();
        assert_eq!(process.status().unwrap(), Some(Exit::Code(7)));
    }

    #[test]
    fn without_pidfds_a_process_that_someone_else_reaps_is_not_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = super::child(child.id().cast_signed()).unwrap();
        let process = Process::watch_by_thread(pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        assert_eq!(process.signal(0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}

use std::{
    ffi::{c_char, c_int, c_void},
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicI32, AtomicUsize, Ordering},
};

use nix::sys::prctl::set_dumpable;

use crate::sys::{
    exit::{Process, kill_and_reap},
    program::{Program, Refused, pointers},
};

/// The child's stack until it executes its program, in elements that are aligned as any stack is.
const STACK: usize = 64 * 1024 / size_of::<u128>();

/// Signals, by number.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;

/// The size of a set of signals, as the kernel wants to be told.
const SIGNAL_SET: usize = size_of::<u64>();

/// As much as the kernel reads of an action: the default is all zeros.
const DEFAULT_ACTION: [u64; 4] = [0; 4];

/// What the child does before it executes its program, all of it made by the parent: the child shares
/// the parent's memory, where another thread may hold any lock.
struct Plan<'a> {
    file: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
    cwd: Option<*const c_char>,
    /// From source to target.
    moves: &'a [(RawFd, RawFd)],
    uid: Option<u32>,
    gid: Option<u32>,
    /// What the child could not do, for the parent; 0 if it could do all.
    errno: AtomicI32,
    /// What it does, in [`STEPS`].
    step: AtomicUsize,
}

/// The system calls of the child that may fail.
const STEPS: [&str; 5] = ["dup3", "chdir", "setgid", "setuid", "execve"];

/// By `clone`, as the C library makes `posix_spawn` of it, which neither changes user or group nor
/// gives a pidfd: the parent waits until the child has executed its program or ended.
pub(in crate::sys) fn spawn(
    program: &Program,
    moves: &[(RawFd, RawFd)],
) -> Result<Process, Refused> {
    let args = pointers(&program.args);
    let env = pointers(&program.env);
    let plan = Plan {
        file: program.file.as_ptr(),
        args: args.as_ptr(),
        env: env.as_ptr(),
        cwd: program.cwd.as_ref().map(|cwd| cwd.as_ptr()),
        moves,
        uid: program.uid,
        gid: program.gid,
        errno: AtomicI32::new(0),
        step: AtomicUsize::new(0),
    };
    let changes_user = plan.uid.is_some() || plan.gid.is_some();
    let was_dumpable = changes_user && is_dumpable();
    let cloned = match clone(&plan, libc::CLONE_PIDFD) {
        // A kernel, or a filter, that does not let us. Where it is the process that it refuses, it does
        // so again.
        Err(error) if is_refused(&error) => clone(&plan, 0),
        cloned => cloned,
    };
    // The kernel makes the memory undumpable when a process that has it changes its user, and with it
    // the files in /proc/self root's. The child is done with it.
    if was_dumpable {
        // It fails only for other values.
        let _ = set_dumpable(true);
    }
    let (pid, pidfd) = cloned.map_err(Refused::by("clone"))?;
    let process = match pidfd {
        Some(pidfd) => Process::with_pidfd(pid, pidfd),
        None => Process::watch(pid),
    };
    match plan.errno.into_inner() {
        // One that can't be watched could never be reaped.
        0 => process.inspect_err(|_| kill_and_reap(pid)).map_err(Refused::by("pidfd_open")),
        errno => {
            match process {
                // It is about to end, and is reaped when this is dropped.
                Ok(process) => process.wait_for_end(),
                Err(_) => kill_and_reap(pid),
            }
            let syscall = STEPS[plan.step.into_inner()];
            Err(Refused { syscall, source: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Whether this user's other processes may look at the memory of this one. By `libc`, because `nix` takes
/// "only root's may" for that.
pub(in crate::sys) fn is_dumpable() -> bool {
    // SAFETY: a number.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS))
}

/// Makes the child, and returns when it has executed its program or ended.
fn clone(plan: &Plan<'_>, flag: c_int) -> io::Result<(i32, Option<OwnedFd>)> {
    let mut stack = Vec::<u128>::with_capacity(STACK);
    let mut pidfd: RawFd = -1;
    // By `libc`, because `nix` has no room for the pidfd.
    // No handler of the parent's may run in the child.
    let before = set_blocked(u64::MAX);
    // SAFETY: the stack is the child's alone and lives until the child is done with it, as all that the
    // plan points to does, because CLONE_VFORK suspends this thread until then. `run` makes system
    // calls only. The kernel writes at most a descriptor into `pidfd`.
    let pid = unsafe {
        libc::clone(
            run,
            stack.as_mut_ptr().add(STACK).cast::<c_void>(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | flag,
            ptr::from_ref(plan).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            ptr::null_mut::<c_void>(),
        )
    };
    let error = io::Error::last_os_error();
    set_blocked(before);
    if pid < 0 {
        return Err(error);
    }
    // A kernel that does not know the flag overlooks it.
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// Blocks exactly these signals for the calling thread, and returns those blocked before. The library
/// would spare those that it uses itself.
fn set_blocked(signals: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: both sets are as large as the kernel is told. It fails for a wrong size only.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const signals,
            &raw mut before,
            SIGNAL_SET,
        );
    }
    before
}

/// The child: executes the program, or leaves why it can't.
extern "C" fn run(plan: *mut c_void) -> c_int {
    // SAFETY: what `clone` passes on, which lives as long as this runs.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    let Err(errno) = execute(plan);
    plan.errno.store(errno, Ordering::Relaxed);
    127
}

/// Returns the errno of what failed. Makes system calls only, and those itself: the library's `setuid`
/// would change the user of all threads of the parent.
fn execute(plan: &Plan<'_>) -> Result<std::convert::Infallible, c_int> {
    for signal in SIGNALS {
        // SAFETY: the kernel reads no more than the action. SIGKILL and SIGSTOP refuse, harmlessly.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT_ACTION.as_ptr(),
                ptr::null_mut::<c_void>(),
                SIGNAL_SET,
            );
        }
    }
    let begin = |step| plan.step.store(step, Ordering::Relaxed);
    begin(0);
    for &(source, target) in plan.moves {
        // SAFETY: numbers only; a wrong one answers EBADF. The descriptors are the child's own.
        check(unsafe {
            if source == target {
                libc::syscall(libc::SYS_fcntl, target, libc::F_SETFD, 0)
            } else {
                libc::syscall(libc::SYS_dup3, source, target, 0)
            }
        })?;
    }
    begin(1);
    if let Some(cwd) = plan.cwd {
        // SAFETY: a C string that lives.
        check(unsafe { libc::syscall(libc::SYS_chdir, cwd) })?;
    }
    if plan.uid.is_some() || plan.gid.is_some() {
        // As libuv does it: only root may, and others need not.
        // SAFETY: an empty list has no address.
        unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) };
    }
    begin(2);
    if let Some(gid) = plan.gid {
        // SAFETY: a number.
        check(unsafe { libc::syscall(libc::SYS_setgid, gid) })?;
    }
    // Last, because other processes of that user may stop this one from then on.
    begin(3);
    if let Some(uid) = plan.uid {
        // SAFETY: a number.
        check(unsafe { libc::syscall(libc::SYS_setuid, uid) })?;
    }
    begin(4);
    set_blocked(0);
    // SAFETY: a C string, and arrays of C strings that end with a null pointer; all of them live.
    check(unsafe { libc::syscall(libc::SYS_execve, plan.file, plan.args, plan.env) })?;
    Err(libc::ENOEXEC)
}

/// The library keeps the errno where the parent's thread does, which is suspended.
fn check(result: libc::c_long) -> Result<(), c_int> {
    if result < 0 {
        Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::sys::exit::Exit;

    fn plan_and_exit(flag: c_int) -> (bool, Exit) {
        let strings = ["/bin/sh", "-c", "exit 7"].map(|text| CString::new(text).unwrap());
        let (args, env) = (pointers(&strings), pointers(&[]));
        let plan = Plan {
            file: strings[0].as_ptr(),
            args: args.as_ptr(),
            env: env.as_ptr(),
            cwd: None,
            moves: &[],
            uid: None,
            gid: None,
            errno: AtomicI32::new(0),
            step: AtomicUsize::new(0),
        };
        let (pid, pidfd) = clone(&plan, flag).unwrap();
        assert_eq!(plan.errno.into_inner(), 0);
        let has_pidfd = pidfd.is_some();
        let process = match pidfd {
            Some(pidfd) => Process::with_pidfd(pid, pidfd),
            None => Process::watch(pid),
        };
        let process = process.unwrap();
        process.wait_for_end();
        (has_pidfd, process.status().unwrap().unwrap())
    }

    #[test]
    fn a_pidfd_comes_with_the_process_where_the_kernel_gives_one() {
        assert_eq!(plan_and_exit(libc::CLONE_PIDFD), (true, Exit::Code(7)));
        assert_eq!(plan_and_exit(0), (false, Exit::Code(7)));
    }
}

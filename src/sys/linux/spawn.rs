use std::{
    ffi::{c_char, c_int, c_void},
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
};

use nix::sys::prctl::set_dumpable;

use super::orphans::Starting;
use crate::sys::{
    exit::{Process, kill_and_reap},
    program::{Program, Refused, pointers},
};

/// The child's stack until it executes its program, in elements with the alignment of a stack.
const STACK: usize = 64 * 1024 / size_of::<u128>();

/// Signals, by number.
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;

/// The size of a signal set, which the kernel requires.
const SIGNAL_SET: usize = size_of::<u64>();

/// As much as the kernel reads of a signal action; the default action is all zeros.
const DEFAULT_ACTION: [u64; 4] = [0; 4];

/// What the child does before it executes its program. The parent prepares all of it, because the child
/// shares the parent's memory, where another thread may hold any lock.
struct Plan<'a> {
    file: *const c_char,
    args: *const *const c_char,
    env: *const *const c_char,
    cwd: Option<*const c_char>,
    /// From source to target.
    moves: &'a [(RawFd, RawFd)],
    uid: Option<u32>,
    gid: Option<u32>,
    own_group: bool,
    /// The errno of the child's failed step; 0 if every step succeeded.
    errno: AtomicI32,
    /// The index in [`STEPS`] of the current step.
    step: AtomicUsize,
}

/// The system calls of the child that may fail.
const STEPS: [&str; 6] = ["setpgid", "dup3", "chdir", "setgid", "setuid", "execve"];

/// Held while a child changes its user, because whether the memory is dumpable is one thing for all threads.
static DUMPABLE: Mutex<()> = Mutex::new(());

/// Uses `clone`, as the C library's `posix_spawn` does, which can neither change the user or group nor
/// return a pidfd. The parent waits until the child has executed its program or ended.
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
        own_group: program.own_group,
        errno: AtomicI32::new(0),
        step: AtomicUsize::new(0),
    };
    let _starting = Starting::begin();
    let changes_user = plan.uid.is_some() || plan.gid.is_some();
    let _changing = changes_user.then(|| DUMPABLE.lock().unwrap_or_else(PoisonError::into_inner));
    let was_dumpable = changes_user && is_dumpable();
    let cloned = match clone(&plan, libc::CLONE_PIDFD) {
        // The kernel or a seccomp filter refuses the flag. If it refuses the process itself, the second
        // call fails in the same way.
        Err(error) if is_refused(&error) => clone(&plan, 0),
        cloned => cloned,
    };
    // When a process that shares the memory changes its user, the kernel makes the memory undumpable,
    // and root the owner of the files in /proc/self. The child no longer uses the memory.
    if was_dumpable {
        // Fails only for other values.
        let _ = set_dumpable(true);
    }
    let (pid, pidfd) = cloned.map_err(Refused::by("clone"))?;
    let process = match pidfd {
        Some(pidfd) => Process::with_pidfd(pid, pidfd),
        None => Process::watch(pid),
    };
    match plan.errno.into_inner() {
        // A process that can't be watched could never be reaped.
        0 => process.inspect_err(|_| kill_and_reap(pid)).map_err(Refused::by("pidfd_open")),
        errno => {
            match process {
                // The child is about to end; dropping this reaps it.
                Ok(process) => process.wait_for_end(),
                Err(_) => kill_and_reap(pid),
            }
            let syscall = STEPS[plan.step.into_inner()];
            Err(Refused { syscall, source: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Whether other processes of this user may inspect this process. By `libc`, because `nix` reports the
/// value 2, "only root", as true.
pub(in crate::sys) fn is_dumpable() -> bool {
    // SAFETY: a number.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM | libc::ENOSYS))
}

/// Starts the child, and returns when it has executed its program or ended.
fn clone(plan: &Plan<'_>, flag: c_int) -> io::Result<(i32, Option<OwnedFd>)> {
    // Not on the heap, where what is allocated meanwhile would leave a hole of this size for each worker.
    let mut stack = [const { MaybeUninit::<u128>::uninit() }; STACK];
    let mut pidfd: RawFd = -1;
    // None of the parent's signal handlers may run in the child. `clone` by `libc`, because that of
    // `nix` does not return the pidfd.
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
    // A kernel that does not know the flag ignores it.
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// Blocks exactly these signals for the calling thread, and returns the previously blocked set. The C
/// library would leave out the signals that it uses itself.
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

/// Runs in the child: executes the program, or stores the errno.
extern "C" fn run(plan: *mut c_void) -> c_int {
    // SAFETY: what `clone` passes on, which lives as long as this runs.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    let Err(errno) = execute(plan);
    plan.errno.store(errno, Ordering::Relaxed);
    127
}

/// Returns the errno of the step that failed. Makes only raw system calls: the C library's `setuid`
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
    if plan.own_group {
        // SAFETY: numbers only.
        check(unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) })?;
    }
    begin(1);
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
    begin(2);
    if let Some(cwd) = plan.cwd {
        // SAFETY: a C string that lives.
        check(unsafe { libc::syscall(libc::SYS_chdir, cwd) })?;
    }
    if plan.uid.is_some() || plan.gid.is_some() {
        // As in libuv, the result is ignored: only root may do this, and others need not.
        // SAFETY: an empty list has no address.
        unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) };
    }
    begin(3);
    if let Some(gid) = plan.gid {
        // SAFETY: a number.
        check(unsafe { libc::syscall(libc::SYS_setgid, gid) })?;
    }
    // Last, because from then on other processes of that user may stop this one.
    begin(4);
    if let Some(uid) = plan.uid {
        // SAFETY: a number.
        check(unsafe { libc::syscall(libc::SYS_setuid, uid) })?;
    }
    begin(5);
    set_blocked(0);
    // SAFETY: a C string, and arrays of C strings that end with a null pointer; all of them live.
    check(unsafe { libc::syscall(libc::SYS_execve, plan.file, plan.args, plan.env) })?;
    Err(libc::ENOEXEC)
}

/// The C library stores the errno in the parent's thread, which is suspended.
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
            own_group: false,
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

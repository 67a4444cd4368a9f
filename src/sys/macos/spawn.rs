use std::{
    ffi::{CStr, CString, OsStr, c_int},
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    process::Command,
    ptr,
};

use crate::sys::{
    descriptor::duplicate,
    exit::{Process, kill_and_reap},
    program::{Program, Refused, pointers},
};

/// The child gets only the descriptors it is given, and none that another thread has just opened and
/// not yet made close-on-exec.
const FLAGS: c_int = libc::POSIX_SPAWN_CLOEXEC_DEFAULT;

unsafe extern "C" {
    fn posix_spawn_file_actions_addinherit_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: c_int,
    ) -> c_int;
}

/// Leaves a descriptor of the parent to the child, at the same number.
///
/// # Safety
/// `actions` is initialized.
unsafe fn inherit(actions: *mut libc::posix_spawn_file_actions_t, fd: RawFd) -> c_int {
    // SAFETY: promised by the caller. A duplicate onto itself would stay close-on-exec.
    unsafe { posix_spawn_file_actions_addinherit_np(actions, fd) }
}

/// Uses `posix_spawn`, or the standard library's `fork` and `exec` to change the user or group, which
/// `posix_spawn` can't do.
pub(in crate::sys) fn spawn(
    program: &Program,
    moves: &[(RawFd, RawFd)],
) -> Result<Process, Refused> {
    let pid = match (program.uid, program.gid) {
        (None, None) => {
            spawn_on_parents_memory(program, moves).map_err(Refused::by("posix_spawn"))?
        }
        _ => {
            let _taken =
                take_numbers_below(program.descriptors.len()).map_err(Refused::by("open"))?;
            spawn_by_fork(program, moves.to_vec()).map_err(Refused::by("fork"))?
        }
    };
    // A process that can't be watched could never be reaped.
    Process::watch(pid).inspect_err(|_| kill_and_reap(pid)).map_err(Refused::by("kqueue"))
}

/// Takes all free numbers below `end`, so that the pipe by which the standard library reports a
/// failed `exec` gets none that the child moves something to.
fn take_numbers_below(end: usize) -> io::Result<Vec<OwnedFd>> {
    let mut taken = vec![OwnedFd::from(File::open("/dev/null")?)];
    while taken.last().is_some_and(|last| usize::try_from(last.as_raw_fd()).is_ok_and(|n| n < end))
    {
        taken.push(duplicate(taken[0].as_raw_fd())?);
    }
    Ok(taken)
}

fn spawn_on_parents_memory(program: &Program, moves: &[(RawFd, RawFd)]) -> io::Result<i32> {
    let mut actions = FileActions::new()?;
    if let Some(cwd) = &program.cwd {
        actions.change_directory(cwd)?;
    }
    for &(source, target) in moves {
        actions.duplicate(source, target)?;
    }
    let attributes = Attributes::new(program.own_group)?;
    let args = pointers(&program.args);
    let env = pointers(&program.env);
    let mut pid = 0;
    // SAFETY: all pointers are to live C strings and to objects initialized above; both arrays end
    // with a null pointer.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.file.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            args.as_ptr().cast(),
            env.as_ptr().cast(),
        )
    })?;
    Ok(pid)
}

/// The `posix_spawn` family returns the errno rather than setting it.
fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

struct FileActions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init writes the object it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }

    fn duplicate(&mut self, source: RawFd, target: RawFd) -> io::Result<()> {
        let actions = self.0.as_mut_ptr();
        // SAFETY: initialized in `new`.
        check(unsafe {
            if source == target {
                inherit(actions, target)
            } else {
                libc::posix_spawn_file_actions_adddup2(actions, source, target)
            }
        })
    }

    fn change_directory(&mut self, directory: &CStr) -> io::Result<()> {
        // SAFETY: initialized in `new`; the string is copied.
        check(unsafe {
            libc::posix_spawn_file_actions_addchdir_np(self.0.as_mut_ptr(), directory.as_ptr())
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    /// No signal blocked, and none ignored: Node ignores `SIGPIPE`, for one.
    fn new(own_group: bool) -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: init writes the object it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut attributes = Self(attributes);
        let signals = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        // The number of the new group is 0, which means the child's pid, until another is set.
        let group = if own_group { libc::POSIX_SPAWN_SETPGROUP } else { 0 };
        let flags = signals | group | FLAGS;
        let mut set = MaybeUninit::uninit();
        // SAFETY: each call gets objects initialized by a call before it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(attributes.0.as_mut_ptr(), set.as_ptr()))?;
            libc::sigfillset(set.as_mut_ptr());
            libc::sigdelset(set.as_mut_ptr(), libc::SIGKILL);
            libc::sigdelset(set.as_mut_ptr(), libc::SIGSTOP);
            check(libc::posix_spawnattr_setsigdefault(attributes.0.as_mut_ptr(), set.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(attributes.0.as_mut_ptr(), flags as _))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

fn spawn_by_fork(program: &Program, moves: Vec<(RawFd, RawFd)>) -> io::Result<i32> {
    let string = |s: &CString| OsStr::from_bytes(s.as_bytes()).to_os_string();
    let mut command = Command::new(string(&program.file));
    if let Some((name, args)) = program.args.split_first() {
        command.arg0(string(name)).args(args.iter().map(string));
    }
    command.env_clear();
    for pair in &program.env {
        let pair = pair.as_bytes();
        // A name may begin with '=', but is never empty.
        let Some(end) = pair.iter().skip(1).position(|&byte| byte == b'=').map(|i| i + 1) else {
            continue;
        };
        command.env(OsStr::from_bytes(&pair[..end]), OsStr::from_bytes(&pair[end + 1..]));
    }
    if let Some(cwd) = &program.cwd {
        command.current_dir(string(cwd));
    }
    if let Some(uid) = program.uid {
        command.uid(uid);
    }
    if let Some(gid) = program.gid {
        command.gid(gid);
    }
    if program.own_group {
        command.process_group(0);
    }
    let prepare = move || {
        for &(source, target) in &moves {
            place(source, target)?;
        }
        // As in libuv, the result is ignored. The standard library drops the other groups only when the
        // user changes.
        // SAFETY: an empty list has no address.
        unsafe { libc::setgroups(0, ptr::null()) };
        reset_signals();
        Ok(())
    };
    // SAFETY: `prepare` makes system calls only; it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    Ok(child.id().cast_signed())
}

/// `dup2` that also clears close-on-exec where source and target are the same.
fn place(source: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: numbers only; a wrong one answers EBADF.
    let result = unsafe {
        if source == target {
            libc::fcntl(target, libc::F_SETFD, 0)
        } else {
            libc::dup2(source, target)
        }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn reset_signals() {
    for number in 1..32 {
        // SAFETY: SIG_DFL is valid for every signal; SIGKILL and SIGSTOP refuse, harmlessly.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

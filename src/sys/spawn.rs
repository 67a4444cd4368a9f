//! Starting a process without copying the primary's page tables.
//!
//! `posix_spawn` runs the child on the parent's memory until it executes (`CLONE_VM | CLONE_VFORK`
//! in glibc and musl; macOS has a system call for it), so its cost does not grow with the heap, as
//! that of `fork` does. It can't change user or group; then the standard library's `fork` and `exec`
//! serve.

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int},
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

use super::{duplicate, duplicate_above, platform::spawn as platform};

/// What to start.
#[derive(Debug)]
pub struct Program {
    /// Path of the executable.
    pub file: CString,
    /// All arguments, the first being the program's own name.
    pub args: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts; the parent's directory if `None`.
    pub cwd: Option<CString>,
    /// The descriptors of the child, by its numbers; `None` leaves a number closed.
    pub descriptors: Vec<Option<RawFd>>,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
}

/// Starts `program` and returns its process id. Its signals are unblocked and at their defaults.
///
/// # Errors
/// That of the system call that failed in the parent or in the child: `ENOENT` for a missing
/// executable or directory, `EAGAIN` or `ENOMEM` when there is no room for a process, `EPERM` for a
/// user or group out of reach.
pub fn spawn(program: &Program) -> io::Result<i32> {
    let (descriptors, _copies) = out_of_the_way(&program.descriptors)?;
    match (program.uid, program.gid) {
        (None, None) => spawn_on_parents_memory(program, &descriptors),
        _ => {
            let _taken = take_numbers_below(descriptors.len())?;
            spawn_by_fork(program, descriptors)
        }
    }
}

/// Duplicates those sources whose numbers are targets too, lest one move overwrites the source of
/// another.
fn out_of_the_way(wanted: &[Option<RawFd>]) -> io::Result<(Vec<Option<RawFd>>, Vec<OwnedFd>)> {
    let targets = RawFd::try_from(wanted.len()).unwrap_or(RawFd::MAX);
    let mut copies = Vec::new();
    let mut sources = Vec::with_capacity(wanted.len());
    for (target, &source) in (0..).zip(wanted) {
        sources.push(match source {
            Some(source) if source < targets && source != target => {
                let copy = duplicate_above(source, targets)?;
                let number = copy.as_raw_fd();
                copies.push(copy);
                Some(number)
            }
            source => source,
        });
    }
    Ok((sources, copies))
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

/// The moves from source to target, in the child.
fn moves(descriptors: &[Option<RawFd>]) -> impl Iterator<Item = (RawFd, RawFd)> {
    (0..).zip(descriptors).filter_map(|(target, &source)| Some((source?, target)))
}

fn spawn_on_parents_memory(program: &Program, descriptors: &[Option<RawFd>]) -> io::Result<i32> {
    let mut actions = FileActions::new()?;
    if let Some(cwd) = &program.cwd {
        actions.change_directory(cwd)?;
    }
    for (source, target) in moves(descriptors) {
        actions.duplicate(source, target)?;
    }
    let attributes = Attributes::with_default_signals()?;
    let args = pointers(&program.args);
    let env = pointers(&program.env);
    let mut pid = 0;
    // SAFETY: all pointers are to live C strings and to objects initialised above; both arrays end
    // with a null pointer.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.file.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
        )
    })?;
    Ok(pid)
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings.iter().map(|s| s.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
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
        // SAFETY: initialised in `new`.
        check(unsafe {
            if source == target {
                platform::inherit(actions, target)
            } else {
                libc::posix_spawn_file_actions_adddup2(actions, source, target)
            }
        })
    }

    fn change_directory(&mut self, directory: &CStr) -> io::Result<()> {
        // SAFETY: initialised in `new`; the string is copied.
        check(unsafe {
            libc::posix_spawn_file_actions_addchdir_np(self.0.as_mut_ptr(), directory.as_ptr())
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    /// No signal blocked, and none ignored: Node ignores `SIGPIPE`, for one.
    fn with_default_signals() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: init writes the object it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut attributes = Self(attributes);
        let signals = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = signals | platform::FLAGS;
        let mut set = MaybeUninit::uninit();
        // SAFETY: each call gets objects initialised by a call before it.
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
        // SAFETY: initialised in `with_default_signals`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

fn spawn_by_fork(program: &Program, descriptors: Vec<Option<RawFd>>) -> io::Result<i32> {
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
    let changes_group = program.gid.is_some();
    let prepare = move || {
        for (source, target) in moves(&descriptors) {
            place(source, target)?;
        }
        if changes_group {
            // As libuv does, where it may. The standard library takes the other groups away only
            // for another user.
            // SAFETY: an empty list has no address.
            unsafe { libc::setgroups(0, ptr::null()) };
        }
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

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use super::*;
    use crate::sys::{
        exit::{Exit, Process},
        lane,
    };

    fn c(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    fn shell(script: &str) -> Program {
        Program {
            file: c("/bin/sh"),
            args: vec![c("sh"), c("-c"), c(script)],
            env: vec![c("PATH=/usr/bin:/bin"), c("GREETING=a=b")],
            cwd: None,
            descriptors: vec![Some(0), Some(1), Some(2)],
            uid: None,
            gid: None,
        }
    }

    /// Runs the program with its output in a pipe, and returns that and how it ended.
    fn run(mut program: Program) -> io::Result<(String, Exit)> {
        let (reader, writer) = std::io::pipe()?;
        program.descriptors[1] = Some(writer.as_raw_fd());
        let pid = spawn(&program)?;
        drop(writer);
        let process = Process::watch(pid)?;
        let mut output = String::new();
        File::from(OwnedFd::from(reader)).read_to_string(&mut output)?;
        let mut polled = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None)?;
        Ok((output, process.reap()?.expect("an ended process")))
    }

    #[test]
    fn environment_directory_and_code_arrive() {
        let mut program = shell("printf '%s %s' \"$GREETING\" \"$PWD\"; exit 7");
        program.cwd = Some(c("/"));
        assert_eq!(run(program).unwrap(), ("a=b /".into(), Exit::Code(7)));
    }

    #[test]
    fn by_fork_the_same_arrives() {
        let mut program = shell("printf '%s %s' \"$GREETING\" \"$PWD\"; kill -9 $$");
        program.cwd = Some(c("/"));
        program.uid = Some(rustix::process::getuid().as_raw());
        assert_eq!(run(program).unwrap(), ("a=b /".into(), Exit::Signal(9)));
    }

    #[test]
    fn descriptors_land_on_their_numbers_even_where_they_cross() {
        let (one, other) = lane::stream_pair().unwrap();
        for uid in [None, Some(rustix::process::getuid().as_raw())] {
            let mut program = shell("printf 3 >&3; printf 5 >&5; (: >&4) 2>&- || printf closed");
            // 3 and 5 are to be swapped where they are these very descriptors.
            program.descriptors.extend([Some(other.as_raw_fd()), None, Some(one.as_raw_fd())]);
            program.uid = uid;
            assert_eq!(run(program).unwrap().0, "closed");
            for (end, number) in [(&one, b"3"), (&other, b"5")] {
                let mut found = [0; 2];
                assert_eq!(lane::receive(end, &mut found).unwrap().length, 1);
                assert_eq!(&found[..1], number);
            }
        }
    }

    #[test]
    fn sources_among_the_targets_are_moved_out_of_the_way() {
        let (sources, copies) = out_of_the_way(&[Some(0), Some(2), Some(1)]).unwrap();
        assert_eq!(sources[0], Some(0));
        assert!(sources[1..].iter().all(|source| source.unwrap() >= 3));
        assert_eq!(copies.len(), 2);
        assert!(out_of_the_way(&[Some(1_000_000)]).is_ok(), "checked by the child");
        assert!(out_of_the_way(&[Some(1), None, Some(-1)]).is_err());
    }

    #[test]
    fn a_missing_file_or_directory_is_enoent_in_the_parent() {
        for uid in [None, Some(rustix::process::getuid().as_raw())] {
            let mut program = shell("");
            // Many, so that they meet whatever descriptor the failure is reported through.
            program.descriptors.extend([Some(0); 40]);
            program.uid = uid;
            program.cwd = Some(c("/no/such/directory"));
            assert_eq!(run(program).unwrap_err().raw_os_error(), Some(libc::ENOENT));
            let mut program = shell("");
            program.uid = uid;
            program.file = c("/no/such/file");
            assert_eq!(run(program).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        }
    }
}

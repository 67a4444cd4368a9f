//! Starts a process without copying the primary's page tables.
//!
//! The child runs in the parent's memory until it executes its program, so unlike with `fork`, the cost
//! does not grow with the heap. Linux uses `clone`, which returns the pidfd in the same step; macOS
//! uses `posix_spawn`.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

pub use super::program::{Program, Refused};
use super::{descriptor::duplicate_above, exit::Process, platform::spawn as platform};

/// Starts `program`, with all signals unblocked and at their defaults.
///
/// # Errors
/// The errno of the system call that failed, in the parent or in the child: `ENOENT` for a missing
/// executable or directory, `EAGAIN` or `ENOMEM` when the system has no room for a process, `EPERM` for
/// a user or group that this process may not become. No process is left behind.
pub fn spawn(program: &Program) -> Result<Process, Refused> {
    let (descriptors, _copies) =
        duplicate_overlapping(&program.descriptors).map_err(Refused::by("fcntl"))?;
    let moves: Vec<_> =
        (0..).zip(descriptors).filter_map(|(target, source)| Some((source?, target))).collect();
    let mut process = platform::spawn(program, &moves)?;
    process.leads_group = program.own_group;
    Ok(process)
}

/// Duplicates sources whose numbers are targets too, so that no move overwrites the source of another.
fn duplicate_overlapping(
    wanted: &[Option<RawFd>],
) -> io::Result<(Vec<Option<RawFd>>, Vec<OwnedFd>)> {
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

#[cfg(test)]
mod tests {
    use std::{
        ffi::CString,
        fs::File,
        io::{BufRead, BufReader, Read},
        os::fd::AsFd,
        ptr,
    };

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::signal::{Signal, kill},
        unistd::{Pid, getuid},
    };

    use super::*;
    use crate::sys::{exit::Exit, lane};

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
            own_group: false,
        }
    }

    /// Runs the program with its output in a pipe, and returns that and how it ended.
    fn run(mut program: Program) -> io::Result<(String, Exit)> {
        let (reader, writer) = std::io::pipe()?;
        program.descriptors[1] = Some(writer.as_raw_fd());
        let process = spawn(&program)?;
        drop(writer);
        let mut output = String::new();
        File::from(OwnedFd::from(reader)).read_to_string(&mut output)?;
        let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::NONE)?;
        Ok((output, process.status()?.expect("an ended process")))
    }

    #[test]
    fn environment_directory_and_code_arrive() {
        let mut program = shell("printf '%s %s' \"$GREETING\" \"$PWD\"; exit 7");
        program.cwd = Some(c("/"));
        assert_eq!(run(program).unwrap(), ("a=b /".into(), Exit::Code(7)));
    }

    #[test]
    fn as_another_user_the_same_arrives() {
        let mut program = shell("printf '%s %s' \"$GREETING\" \"$PWD\"; kill -9 $$");
        program.cwd = Some(c("/"));
        program.uid = Some(getuid().as_raw());
        assert_eq!(run(program).unwrap(), ("a=b /".into(), Exit::Signal(9)));
    }

    /// What only root may do.
    fn is_root() -> bool {
        getuid().is_root()
    }

    #[test]
    fn another_user_has_none_of_the_parents_groups_and_the_parent_stays_as_it_is() {
        if !is_root() {
            return;
        }
        let mut program = shell("id -u; id -g; id -G");
        (program.uid, program.gid) = (Some(65534), Some(65533));
        assert_eq!(run(program).unwrap().0, "65534\n65533\n65533\n");
        assert!(is_root());
        #[cfg(target_os = "linux")]
        {
            assert!(platform::is_dumpable());
        }
    }

    #[test]
    fn ignored_and_blocked_signals_are_neither_in_the_child() {
        // The test harness ignores this one, as Node does.
        let (_, exit) = run(shell("kill -s PIPE $$; exit 3")).unwrap();
        assert_eq!(exit, Exit::Signal(libc::SIGPIPE));
        let blocked = std::thread::spawn(|| {
            // SAFETY: a set that lives, for a thread that is about to end.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigfillset(&raw mut set);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            }
            run(shell("kill -s TERM $$; exit 3")).unwrap().1
        });
        assert_eq!(blocked.join().unwrap(), Exit::Signal(libc::SIGTERM));
    }

    /// A process that ends when it gets SIGTERM, and has a child that ignores the signal. Returns the process,
    /// the pid of the child, and a pipe that both keep open.
    fn process_with_child(own_group: bool, uid: Option<u32>) -> (Process, Pid, File) {
        let child = "(trap '' TERM; exec sh -c 'echo $$; exec sleep 60')";
        let mut program = shell(&format!("{child} & exec sleep 60"));
        (program.own_group, program.uid) = (own_group, uid);
        let (reader, writer) = std::io::pipe().unwrap();
        program.descriptors[1] = Some(writer.as_raw_fd());
        let process = spawn(&program).unwrap();
        drop(writer);
        let mut reader = File::from(OwnedFd::from(reader));
        let mut line = String::new();
        BufReader::with_capacity(1, &mut reader).read_line(&mut line).unwrap();
        (process, Pid::from_raw(line.trim().parse().unwrap()), reader)
    }

    /// Whether other processes still have the pipe open.
    fn is_open(pipe: &File) -> bool {
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() == 0
    }

    #[test]
    fn the_rest_of_a_group_is_killed_while_its_leader_is_a_zombie() {
        for uid in [None, Some(getuid().as_raw())] {
            let (process, _, mut pipe) = process_with_child(true, uid);
            process.signal_group(libc::SIGTERM).unwrap();
            process.wait_for_end();
            assert_eq!(process.status().unwrap(), Some(Exit::Signal(libc::SIGTERM)));
            assert!(is_open(&pipe), "the child ignores the signal");
            process.kill_rest_of_group();
            assert_eq!(pipe.read(&mut [0]).unwrap(), 0, "both have ended");
            process.reap();
            let gone = process.signal_group(libc::SIGKILL).unwrap_err();
            assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
        }
    }

    #[test]
    fn a_signal_to_a_group_reaches_all_of_it() {
        let (process, _, mut pipe) = process_with_child(true, None);
        process.signal_group(libc::SIGKILL).unwrap();
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0, "both have ended");
    }

    #[test]
    fn a_process_that_leads_no_group_is_signalled_alone() {
        let (process, child, mut pipe) = process_with_child(false, None);
        process.signal_group(libc::SIGKILL).unwrap();
        process.wait_for_end();
        process.kill_rest_of_group();
        assert!(is_open(&pipe), "the child runs");
        kill(child, Signal::SIGKILL).unwrap();
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn descriptors_land_on_their_numbers_even_where_they_cross() {
        let (one, other) = lane::stream_pair().unwrap();
        for uid in [None, Some(getuid().as_raw())] {
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
        let (sources, copies) = duplicate_overlapping(&[Some(0), Some(2), Some(1)]).unwrap();
        assert_eq!(sources[0], Some(0));
        assert!(sources[1..].iter().all(|source| source.unwrap() >= 3));
        assert_eq!(copies.len(), 2);
        assert!(duplicate_overlapping(&[Some(1_000_000)]).is_ok(), "checked by the child");
        assert!(duplicate_overlapping(&[Some(1), None, Some(-1)]).is_err());
    }

    #[test]
    fn a_missing_file_or_directory_is_enoent_in_the_parent() {
        for uid in [None, Some(getuid().as_raw())] {
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

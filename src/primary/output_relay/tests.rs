use std::{
    ffi::CString,
    fs::File,
    io::{PipeReader, Read, Write},
    os::fd::{AsRawFd, RawFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::sys::{
    exit::{Exit, Process},
    spawn::{self, Program},
};

/// Everything here takes less than a second, so what has not happened by then never will.
const DEADLINE: Duration = Duration::from_secs(20);

const PLAIN: Way = Way { target: Target::Stderr, prefix: None };

/// A relay, and the other end of what it writes to.
fn relay() -> (Arc<Thread>, PipeReader) {
    let (output, target) = io::pipe().unwrap();
    (Thread::start(io::stdout(), target).unwrap(), output)
}

/// A process of the shell that writes there.
fn shell(script: &str, stderr: &OwnedFd) -> Process {
    shell_with(script, &[stderr.as_raw_fd()])
}

/// A process of the shell with these descriptors, from 2 on.
fn shell_with(script: &str, descriptors: &[RawFd]) -> Process {
    let c = |text: &str| CString::new(text).unwrap();
    let program = Program {
        file: c("/bin/sh"),
        args: vec![c("sh"), c("-c"), c(script)],
        env: vec![c("PATH=/usr/bin:/bin")],
        cwd: None,
        descriptors: [0, 1].iter().chain(descriptors).copied().map(Some).collect(),
        uid: None,
        gid: None,
        own_group: false,
    };
    spawn::spawn(&program).unwrap()
}

fn exit_of(process: &Process) -> Exit {
    poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    process.status().unwrap().expect("an ended process")
}

fn wait_readable_or_end(output: &PipeReader) {
    let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
    let deadline = PollTimeout::try_from(DEADLINE).unwrap();
    assert_eq!(poll(&mut polled, deadline), Ok(1), "nothing comes");
}

/// Waits until the thread has ended, which closes its end.
fn expect_end(output: &mut PipeReader) {
    wait_readable_or_end(output);
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

/// Reads so many bytes, which are there or are about to come.
fn read(output: &mut PipeReader, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        wait_readable_or_end(output);
        let mut chunk = vec![0; count - bytes.len()];
        let length = output.read(&mut chunk).unwrap();
        assert_ne!(length, 0, "{} of {count} bytes came", bytes.len());
        bytes.extend_from_slice(&chunk[..length]);
    }
    bytes
}

#[test]
fn no_byte_is_lost_when_a_worker_writes_much_and_crashes() {
    let (thread, mut output) = relay();
    let (stderr, tail) = Arc::clone(&thread).open(PLAIN).unwrap();
    let script = "head -c 102400 /dev/zero | tr '\\0' x >&2; echo =last >&2; kill -9 $$";
    let process = shell(script, &stderr);
    drop(stderr);
    let written = read(&mut output, 102_406);
    assert_eq!(exit_of(&process), Exit::Signal(9));
    assert!(written.starts_with(b"xxxx") && written.ends_with(b"x=last\n"));
    let kept = tail.read();
    assert_eq!((kept.len(), &kept[..]), (KEPT, &written[written.len() - KEPT..]));
}

#[test]
fn a_blocked_terminal_blocks_neither_who_asks_for_the_tail_nor_a_worker_that_crashes() {
    let (thread, mut output) = relay();
    let (first, first_tail) = Arc::clone(&thread).open(PLAIN).unwrap();
    // As much as both pipes can't hold; the thread waits with the rest.
    let blocked = 64 * 1024;
    let mut first = File::from(first);
    first.write_all(&vec![b'x'; blocked]).unwrap();
    assert!(thread.flush(DEADLINE), "the pipe has room for that");
    first.write_all(b"=").unwrap();
    let (stderr, tail) = Arc::clone(&thread).open(PLAIN).unwrap();
    assert!(!thread.flush(Duration::from_millis(50)), "it has not for more");
    let process = shell("echo why >&2; exit 7", &stderr);
    drop(stderr);
    assert_eq!(exit_of(&process), Exit::Code(7));
    assert_eq!(tail.read(), b"why\n");
    assert_eq!(tail.read(), b"why\n", "it is kept");
    // What was read to answer is written when that is possible, once.
    let written = read(&mut output, blocked + 5);
    assert!(written.ends_with(b"x=why\n"));
    assert!(thread.flush(DEADLINE));
    drop((first, tail, first_tail, thread));
    expect_end(&mut output);
}

#[test]
fn a_process_that_outlives_the_worker_writes_on_until_it_ends() {
    let (thread, mut output) = relay();
    let (stderr, tail) = Arc::clone(&thread).open(PLAIN).unwrap();
    let (input, mut control) = io::pipe().unwrap();
    let pipe = Arc::downgrade(&tail.pipe);
    let script = "(read -r line; echo \"$line\" >&2) <&3 & exit 0";
    let process = shell_with(script, &[stderr.as_raw_fd(), input.as_raw_fd()]);
    drop((stderr, input));
    assert_eq!(exit_of(&process), Exit::Code(0));
    assert_eq!(tail.read(), b"");
    drop(tail);
    assert!(thread.flush(DEADLINE));
    assert!(pipe.upgrade().is_some(), "the pipe is read on");
    control.write_all(b"later\n").unwrap();
    assert_eq!(read(&mut output, 6), b"later\n");
    // The thread closes the pipe; then it ends, and closes this one.
    drop(thread);
    expect_end(&mut output);
    assert!(pipe.upgrade().is_none());
}

#[test]
fn workers_go_on_when_there_is_no_terminal_any_more() {
    let (thread, output) = relay();
    drop(output);
    let (stderr, tail) = thread.open(PLAIN).unwrap();
    let process = shell("head -c 300000 /dev/zero >&2; echo last >&2; exit 7", &stderr);
    drop(stderr);
    assert_eq!(exit_of(&process), Exit::Code(7));
    assert!(tail.read().ends_with(b"\0last\n"));
}

#[test]
fn a_terminal_that_does_not_block_gets_all_as_well() {
    let (output, target) = wake_pipe().unwrap();
    let mut output = PipeReader::from(output);
    let thread = Thread::start(io::stdout(), target).unwrap();
    let (stderr, _tail) = thread.open(PLAIN).unwrap();
    let writing = std::thread::spawn(move || File::from(stderr).write_all(&vec![b'x'; 300_000]));
    assert_eq!(read(&mut output, 300_000), vec![b'x'; 300_000]);
    writing.join().unwrap().unwrap();
}

#[test]
fn lines_of_both_outputs_get_a_prefix_and_do_not_mix() {
    let (mut output, target) = io::pipe().unwrap();
    let thread = Thread::start(target.try_clone().unwrap(), target).unwrap();
    let way = |target, slot| Way { target, prefix: Some(Prefix { slot, may_have_color: true }) };
    let ways = [way(Target::Stdout, 0), way(Target::Stderr, 0), way(Target::Stdout, 1)];
    let opened = ways.map(|way| Arc::clone(&thread).open(way).unwrap());
    let [(first, _), (second, tail), (third, _)] = opened;
    let [mut first, mut second, mut third] = [first, second, third].map(File::from);
    let mut expect = |text: &str| {
        assert_eq!(String::from_utf8(read(&mut output, text.len())).unwrap(), text);
    };
    first.write_all(b"begun").unwrap();
    // It is the part of a line, and appears after a while.
    expect("0 | begun");
    second.write_all(b"error\n").unwrap();
    expect("\n0 | error\n");
    third.write_all(b"whole\nbegun").unwrap();
    expect("1 | whole\n");
    drop(third);
    expect("1 | begun\n");
    first.write_all(b" ended\n").unwrap();
    expect("0 |  ended\n");
    assert_eq!(tail.read(), b"error\n");
    first.write_all(b"last").unwrap();
    assert!(thread.flush(DEADLINE));
    expect("0 | last");
}

#[test]
fn a_line_stays_whole_whose_rest_comes_while_the_thread_waits_for_the_target() {
    let (mut output, target) = io::pipe().unwrap();
    let thread = Thread::start(target, io::stderr()).unwrap();
    let long = [&[b'x'; 150_000][..], b"\n"].concat();
    let pipes = [(2, &b""[..]), (0, b"begun"), (1, &long)].map(|(slot, text)| {
        let (reader, writer) = output_pipe().unwrap();
        let mut writer = File::from(writer);
        writer.write_all(text).unwrap();
        let prefix = Some(Prefix { slot, may_have_color: false });
        let pipe = Arc::new(Pipe { reader, text: Mutex::default() });
        (writer, (pipe, Way { target: Target::Stdout, prefix }))
    });
    let [(mut third, its), (mut first, one), (second, other)] = pipes;
    // All at once.
    lock(&thread.orders).new.extend([its, one, other]);
    wake(&thread.waker);
    // The thread is at the last, for which the target has no room.
    wait_readable_or_end(&output);
    third.write_all(b"other\n").unwrap();
    first.write_all(b" ended\n").unwrap();
    thread::sleep(Duration::from_millis(200));
    let expected = [b"1 | ", &long[..], b"2 | other\n0 | begun ended\n"].concat();
    assert!(read(&mut output, expected.len()) == expected);
    drop((first, second, third));
}

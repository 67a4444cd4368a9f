//! Pipes that another process writes to, and that this process copies elsewhere.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::fstat,
    unistd::{read, write},
};

use super::{descriptor::set_nonblocking, failure::SHORTAGE_PAUSE, platform::pipe::enlarge};

/// As much as the kernel lets any user put into a pipe.
const MOST: usize = 1024 * 1024;

/// As much as is read at a time.
const CHUNK: usize = 16 * 1024;

/// The output of a child: the end to read from, which does not block, and the end to write to, which does.
///
/// Node makes it non-blocking, so that what the pipe has no room for is lost when the child crashes. So the
/// pipe has more room than others.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nonblocking_reader()?;
    enlarge(&writer);
    Ok((reader, writer))
}

fn nonblocking_reader() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&reader, true)?;
    Ok((reader.into(), writer.into()))
}

/// A pipe by which threads wake another one. Neither end blocks.
///
/// # Errors
/// As [`output_pipe`].
pub fn wake_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nonblocking_reader()?;
    set_nonblocking(&writer, true)?;
    Ok((reader, writer))
}

/// Makes the reading end of a [`wake_pipe`] readable.
pub fn wake(writer: &OwnedFd) {
    // It fails only if the pipe is full, and so readable.
    while matches!(write(writer, &[0]), Err(Errno::EINTR)) {}
}

/// Waits until one of these has something to read, or has ended, and says for each whether it has. Waits no longer than
/// `timeout`, if there is one.
pub fn wait_readable(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<_> =
        descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    // A part of a millisecond more rather than less: otherwise it would be waited for again and again.
    let timeout = timeout.map(|it| it + Duration::from_millis(1));
    let timeout = timeout.map(|it| PollTimeout::try_from(it).unwrap_or(PollTimeout::MAX));
    wait(&mut polled, timeout.unwrap_or(PollTimeout::NONE));
    polled.iter().map(|it| it.any().unwrap_or(true)).collect()
}

/// Appends all that is in the pipe now to `bytes`. Returns whether that was the end: nothing was there, and
/// the last writer has closed the pipe.
pub fn read_all(reader: &OwnedFd, bytes: &mut Vec<u8>) -> bool {
    let end = bytes.len() + MOST;
    while bytes.len() < end {
        let start = bytes.len();
        bytes.resize(start + CHUNK, 0);
        let result = read(reader, &mut bytes[start..]);
        bytes.truncate(start + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => return true,
            // There was no more.
            Ok(count) if count < CHUNK => return false,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Whether both descriptors are of one file, such as a terminal.
pub fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    let identity = |fd| fstat(fd).map(|found| (found.st_dev, found.st_ino));
    matches!((identity(one.as_fd()), identity(other.as_fd())), (Ok(one), Ok(other)) if one == other)
}

/// Writes all of it, and waits for room. Gives up where the descriptor can't be written to.
pub fn write_all(target: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(&target, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            // Node makes its stderr non-blocking where that is a pipe.
            Err(Errno::EAGAIN) => {
                wait(&mut [PollFd::new(target.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)
            }
            Err(_) => return,
        }
    }
}

fn wait(polled: &mut [PollFd<'_>], timeout: PollTimeout) {
    loop {
        match poll(polled, timeout) {
            Ok(_) => return,
            Err(Errno::EINTR) => {}
            // The kernel has no memory for it now.
            Err(_) => thread::sleep(SHORTAGE_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_that_does_not_wait_can_write_much_at_once() {
        let (reader, writer) = output_pipe().unwrap();
        set_nonblocking(&writer, true).unwrap();
        let text = vec![b'x'; 200_000];
        assert_eq!(write(&writer, &text), Ok(text.len()));
        let mut read = Vec::new();
        assert!(!read_all(&reader, &mut read), "it is still open");
        assert_eq!(read, text);
        drop(writer);
        assert!(read_all(&reader, &mut read));
    }

    #[test]
    fn a_thread_can_be_woken_any_number_of_times() {
        let (reader, writer) = wake_pipe().unwrap();
        (0..100_000).for_each(|_| wake(&writer));
        assert_eq!(wait_readable(&[reader.as_fd()], None), [true]);
        let mut wakes = Vec::new();
        assert!(!read_all(&reader, &mut wakes));
        assert!(!wakes.is_empty());
    }
}

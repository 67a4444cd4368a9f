//! A thread of this process, as its other threads see it.

use super::platform::thread::Status;

/// A thread whose state can be checked.
#[derive(Debug)]
pub struct Thread {
    status: Status,
}

impl Thread {
    /// The calling thread.
    pub fn current() -> Self {
        Self { status: Status::of_this_thread() }
    }

    /// A number that identifies the thread's current wait inside a system call: the same number means
    /// the same wait. `None` for a thread that runs, waits for a processor, or is stopped. If the
    /// system does not report this, always the same number.
    pub fn current_wait(&self) -> Option<u64> {
        self.status.current_wait()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::net::UnixStream,
        sync::mpsc::channel,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "the system does not tell")]
    fn a_wait_has_a_number_and_a_thread_that_runs_has_none() {
        let (theirs, mut ours) = UnixStream::pair().unwrap();
        let (sender, receiver) = channel();
        let reading = thread::spawn(move || {
            sender.send(Thread::current()).unwrap();
            let mut buffer = [0];
            let mut theirs = &theirs;
            (0..2).for_each(|_| std::io::Read::read_exact(&mut theirs, &mut buffer).unwrap());
        });
        let other = receiver.recv().unwrap();
        let next = |last: Option<u64>| {
            let begin = Instant::now();
            loop {
                let wait = other.current_wait();
                if wait.is_some() && wait != last {
                    return wait;
                }
                assert!(begin.elapsed() < Duration::from_secs(60), "it waits");
                thread::yield_now();
            }
        };
        let first = next(None);
        assert_eq!(Thread::current().current_wait(), None, "the one that looks runs");
        // It may have waited for something else at first.
        thread::sleep(Duration::from_millis(20));
        let first = other.current_wait().or(first);
        assert_eq!(other.current_wait(), first, "the same wait");
        ours.write_all(&[1]).unwrap();
        next(first);
        ours.write_all(&[1]).unwrap();
        reading.join().unwrap();
    }
}

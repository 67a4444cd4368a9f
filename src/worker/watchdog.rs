use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    protocol::watchdog::{LONGEST_STACK, REQUEST, shorten},
    sys::{
        exit_now,
        failure::{Failure, SHORTAGE_PAUSE},
        lane::{self, wait_for_end, wait_readable},
    },
};

/// How much time JavaScript has to notice that the primary is gone.
const GRACE: Duration = Duration::from_secs(1);

/// The exit code of a worker that the watchdog ends: `EX_UNAVAILABLE` of `sysexits.h`, which Node does
/// not use.
const PRIMARY_GONE: i32 = 69;

/// How long JavaScript has to say where it is. It does so between two instructions of JavaScript; a system call
/// or a garbage collection may keep it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Enough for this thread, which does very little.
const STACK: usize = 64 * 1024;

/// Ends a worker whose primary's process is gone, if its JavaScript does not.
///
/// A worker exits when its channel closes unexpectedly. JavaScript does that as soon as its event loop
/// runs; if it never does, because JavaScript is in an endless loop, this thread does. It watches the
/// hand-off queue, or a lane of its own: the engine keeps its end until the worker's process has ended, so
/// that end closes only with the primary's process. A primary that is alive may close the channel; then the
/// worker may finish its work.
///
/// On a lane of its own, the watchdog lane, the engine asks for the JavaScript stack.
pub struct Watchdog {
    is_disarmed: Arc<AtomicBool>,
}

impl Watchdog {
    /// Watches `lane`, a duplicate of the worker's end of the hand-off queue, from a thread.
    ///
    /// # Errors
    /// `EAGAIN` when the process can't have another thread.
    pub fn start(lane: OwnedFd) -> io::Result<Self> {
        Self::watch(move || wait_for_end(&lane))
    }

    /// Watches `lane`, the worker's end of the watchdog lane, and answers there with what `stack` returns
    /// within the given time.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn serve(
        lane: OwnedFd,
        stack: impl Fn(Duration) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        Self::watch(move || answer_requests(&lane, stack))
    }

    /// `until_gone` returns when the primary's process is gone.
    fn watch(until_gone: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let is_disarmed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_disarmed);
        thread::Builder::new().name("rs-cluster-dog".into()).stack_size(STACK).spawn(
            move || {
                until_gone();
                if seen.load(Ordering::Acquire) {
                    return;
                }
                thread::sleep(GRACE);
                if !seen.load(Ordering::Acquire) {
                    exit_now(PRIMARY_GONE);
                }
            },
        )?;
        Ok(Self { is_disarmed })
    }

    /// From now on only JavaScript decides when the worker exits.
    pub fn disarm(&self) {
        self.is_disarmed.store(true, Ordering::Release);
    }
}

/// Answers each request for the JavaScript stack, until the other end is closed.
fn answer_requests(lane: &OwnedFd, stack: impl Fn(Duration) -> Option<String>) {
    loop {
        wait_readable(lane);
        match lane::receive_whole_packet(lane, REQUEST.len()) {
            Ok(packet) if packet.is_end => return,
            Ok(_) => {
                let mut stack = stack(PATIENCE).unwrap_or_default();
                shorten(&mut stack, LONGEST_STACK);
                // The engine can do without an answer.
                let _ = lane::send_packet(lane, stack.as_bytes(), None);
            }
            Err(Failure::WouldBlock) => {}
            Err(Failure::Shortage(_)) => thread::sleep(SHORTAGE_PAUSE),
            Err(Failure::Gone) => return,
            // It can't be read, which does not mean that the primary is gone.
            Err(Failure::Fault(_)) => return wait_for_end(lane),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        os::fd::AsRawFd,
        process::{Command, Stdio},
    };

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;
    use crate::sys::{
        inherit,
        lane::{self, Kind},
    };

    const LANE: &str = "RS_CLUSTER_TEST_LANE";

    /// The worker of the test below: a process that does not react, as far as its watchdog knows.
    #[test]
    fn spin_if_asked_to() {
        let Some(number) = env::var(LANE).ok().and_then(|number| number.parse().ok()) else {
            return;
        };
        let _watchdog = Watchdog::start(inherit(number, Kind::Packets).unwrap()).unwrap();
        println!("watched");
        thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn a_process_whose_primary_is_gone_ends_with_a_code_of_its_own() {
        let (ours, theirs) = lane::packet_pair().unwrap();
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let mut worker = Command::new(env::current_exe().unwrap())
            .args(["--exact", "worker::watchdog::tests::spin_if_asked_to", "--nocapture"])
            .env(LANE, theirs.as_raw_fd().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // As the engine does, this process keeps a duplicate of the worker's end.
        let mut output = std::io::BufReader::new(worker.stdout.take().unwrap());
        while !next_line(&mut output).contains("watched") {}
        lane::send_packet(&ours, b"what comes is not the end", None).unwrap();
        thread::sleep(GRACE / 4);
        assert_eq!(worker.try_wait().unwrap(), None);
        drop(ours);
        assert_eq!(worker.wait().unwrap().code(), Some(PRIMARY_GONE));
    }

    fn next_line(output: &mut impl std::io::BufRead) -> String {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it has ended");
        line
    }
}

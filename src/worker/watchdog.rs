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

use crate::sys::{exit_now, lane::wait_for_end};

/// How long JavaScript has to notice that the channel has closed.
const GRACE: Duration = Duration::from_secs(1);

/// The thread needs next to nothing.
const STACK: usize = 64 * 1024;

/// Ends a worker whose primary is gone when its JavaScript does not.
///
/// A worker exits with code 0 when its channel closes unasked. JavaScript does so, as soon as it
/// has a moment; where it never has one, because it spins, this thread does. It watches the
/// message lane, which closes with the primary whatever kills that.
pub struct Watchdog {
    stood_down: Arc<AtomicBool>,
}

impl Watchdog {
    /// Watches `lane`, a duplicate of the worker's end of the message lane.
    ///
    /// # Errors
    /// When the process can have no more threads.
    pub fn start(lane: OwnedFd) -> io::Result<Self> {
        let stood_down = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stood_down);
        thread::Builder::new().name("rs-cluster-dog".into()).stack_size(STACK).spawn(
            move || {
                wait_for_end(&lane);
                drop(lane);
                if seen.load(Ordering::Acquire) {
                    return;
                }
                thread::sleep(GRACE);
                if !seen.load(Ordering::Acquire) {
                    exit_now(0);
                }
            },
        )?;
        Ok(Self { stood_down })
    }

    /// JavaScript has seen the channel close, or closes it itself, and decides what follows.
    pub fn stand_down(&self) {
        self.stood_down.store(true, Ordering::Release);
    }
}

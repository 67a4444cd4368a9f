//! Ends a system call that waits though it must not: `accept` has no flag against that but one of the open
//! file, which workers have as well.

use std::{
    cell::OnceCell,
    os::fd::RawFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::sys::listen;

/// How long a call may take that does not wait, on however busy a machine.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread needs next to nothing.
const STACK: usize = 64 * 1024;

/// Watches the calls of one thread, by another one which begins with the first call.
#[derive(Default)]
pub(super) struct Guard {
    watch: OnceCell<Arc<Watch>>,
}

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The listening socket that a call is about, and how long it may take.
    call: Option<(RawFd, Instant)>,
    /// Whether the thread sleeps until it is woken.
    sleeps: bool,
    has_ended: bool,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.has_ended {
            let now = Instant::now();
            state = match state.call {
                None => {
                    state.sleeps = true;
                    self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
                }
                Some((socket, until)) if until <= now => {
                    // It is open, as the call has not returned.
                    listen::stop(socket);
                    state.call = None;
                    state
                }
                // It looks again then, rather than to be woken by each call.
                Some((_, until)) => {
                    let left = until.duration_since(now);
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Guard {
    /// Makes a call about a listening socket. If it waits, the socket listens no more.
    pub(super) fn run<T>(&self, socket: RawFd, call: impl FnOnce() -> T) -> T {
        let watch = self.watch.get_or_init(start);
        let mut state = watch.lock();
        state.call = Some((socket, Instant::now() + PATIENCE));
        let sleeps = std::mem::replace(&mut state.sleeps, false);
        drop(state);
        if sleeps {
            watch.changed.notify_one();
        }
        let result = call();
        watch.lock().call = None;
        result
    }
}

fn start() -> Arc<Watch> {
    let watch = Arc::new(Watch::default());
    let watching = Arc::clone(&watch);
    // Without a thread, only one that times its calls to the microsecond makes ours wait.
    let _ = thread::Builder::new()
        .name("rs-cluster-guard".into())
        .stack_size(STACK)
        .spawn(move || watching.run());
    watch
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.lock().has_ended = true;
            watch.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::*;

    #[test]
    fn a_call_that_waits_is_ended_and_others_are_not() {
        let guard = Guard::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..3 {
            let _client = TcpStream::connect(address).unwrap();
            assert!(guard.run(listener.as_raw_fd(), || listener.accept()).is_ok());
            thread::sleep(PATIENCE);
        }
        let begin = Instant::now();
        assert!(guard.run(listener.as_raw_fd(), || listener.accept()).is_err());
        assert!(begin.elapsed() >= PATIENCE);
        assert!(TcpStream::connect(address).is_err(), "it listens no more");
    }
}

//! Ends a system call that waits though it must not: `accept` has no flag against that but one of the open
//! file, which workers have as well.

use std::{
    cell::OnceCell,
    os::fd::RawFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::sys::{listen, thread::Thread};

/// How often a call that goes on is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// In so many looks, one after the other, the thread is in the same wait: it is that of the call, which does
/// nothing else that waits for long.
const LOOKS: u32 = 5;

/// The stack of the thread, which has next to nothing on it.
const STACK: usize = 64 * 1024;

/// Watches the calls of one thread, by another one which begins with the first call.
///
/// How long a call takes says nothing: the process may have been stopped, frozen, or kept from running. So
/// the other thread looks whether the first one waits.
#[derive(Default)]
pub(super) struct AcceptGuard {
    watch: OnceCell<Arc<Watch>>,
}

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    call: Option<Call>,
    /// How many calls there were.
    count: u64,
    /// Whether the thread sleeps until it is woken.
    sleeps: bool,
    has_ended: bool,
}

/// A call under way.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Call {
    number: u64,
    /// The listening socket that it is about.
    socket: RawFd,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No thread panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after the calls of `thread`.
    fn run(&self, thread: &Thread) {
        let mut state = self.lock();
        // What the last look has seen, and how many before it.
        let mut seen = None;
        let mut looks = 0;
        while !state.has_ended {
            let Some(call) = state.call else {
                state.sleeps = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // It looks again after a while, rather than to be woken by each call.
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.call != Some(call) {
                continue;
            }
            // The thread would wait for the lock as well.
            drop(state);
            let found = thread.current_wait().map(|wait| (call, wait));
            looks = if found.is_some() && found == seen { looks + 1 } else { 0 };
            seen = found;
            state = self.lock();
            if looks >= LOOKS && state.call == Some(call) {
                // It is open, as the call has not returned.
                listen::stop(call.socket);
                state.call = None;
            }
        }
    }
}

impl AcceptGuard {
    /// Makes a call about a listening socket. If it waits, the socket listens no more.
    pub(super) fn run<T>(&self, socket: RawFd, call: impl FnOnce() -> T) -> T {
        let watch = self.watch.get_or_init(start);
        let mut state = watch.lock();
        state.count = state.count.wrapping_add(1);
        state.call = Some(Call { number: state.count, socket });
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
    let (watching, watched) = (Arc::clone(&watch), Thread::current());
    // If it can't be started, a worker that makes the socket block at the right microsecond makes this
    // thread wait.
    let _ = thread::Builder::new()
        .name("rs-cluster-guard".into())
        .stack_size(STACK)
        .spawn(move || watching.run(&watched));
    watch
}

impl Drop for AcceptGuard {
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
        time::Instant,
    };

    use super::*;

    #[test]
    fn a_call_that_waits_is_ended_and_others_are_not() {
        let guard = AcceptGuard::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..3 {
            let _client = TcpStream::connect(address).unwrap();
            assert!(guard.run(listener.as_raw_fd(), || listener.accept()).is_ok());
            thread::sleep(LOOK * LOOKS);
        }
        let begin = Instant::now();
        assert!(guard.run(listener.as_raw_fd(), || listener.accept()).is_err());
        assert!(begin.elapsed() >= LOOK * LOOKS);
        assert!(TcpStream::connect(address).is_err(), "it listens no more");
    }

    #[test]
    #[cfg_attr(target_os = "macos", ignore = "nothing is known of a thread")]
    fn a_call_that_takes_long_without_a_wait_is_not_ended() {
        let guard = AcceptGuard::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let begin = Instant::now();
        // Like the call of a process that is stopped, or gets no processor.
        guard.run(listener.as_raw_fd(), || while begin.elapsed() < 4 * LOOK * LOOKS {});
        TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();
    }
}

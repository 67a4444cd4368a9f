//! How much of the engine's time operators may take.

use std::{
    cell::Cell,
    pin::pin,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::sleep_until};

use crate::sys::thread_time;

/// After each piece of work the thread is left to connections for so many times as long, …
const REST: u32 = 4;

/// … and for at least so long.
const LEAST_REST: Duration = Duration::from_millis(1);

/// Requests of one socket that may begin, …
const REQUESTS_A_TURN: u32 = 4;

/// … in each turn of this length.
const TURN: Duration = Duration::from_millis(1);

/// Lets pieces of work take turns, so that however many there are, they take a fifth of the thread's time at
/// most.
#[derive(Default)]
pub(super) struct Pace {
    turns: Mutex<()>,
    /// When the next piece of work may begin.
    next: Cell<Option<Instant>>,
}

impl Pace {
    /// Does the work when it is its turn.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let _turn = self.turns.lock().await;
        if let Some(next) = self.next.get().filter(|next| *next > Instant::now()) {
            sleep_until(next.into()).await;
        }
        let (done, used) = timed(work).await;
        self.next.set(Some(Instant::now() + (used * REST).max(LEAST_REST)));
        done
    }
}

/// Does some work. Returns its result, and how much processor time it has used: on a busy machine, much more
/// time may pass.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut used = Duration::ZERO;
    let done = std::future::poll_fn(|context| {
        let begun = thread_time();
        let polled = work.as_mut().poll(context);
        used += thread_time().saturating_sub(begun);
        polled
    });
    let done = done.await;
    (done, used)
}

/// Lets the requests that come to one socket begin one after the other, and not too many at once: each costs
/// time, even if its answer is short.
#[derive(Default)]
pub(super) struct Admission {
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    /// How many requests may still begin, …
    left: u32,
    /// … until this moment.
    ends: Option<Instant>,
}

impl Admission {
    /// Waits until a request may begin.
    pub(super) async fn wait(&self) {
        let mut turn = self.turn.lock().await;
        if let Some(ends) = turn.ends.filter(|ends| *ends > Instant::now()) {
            if turn.left > 0 {
                turn.left -= 1;
                return;
            }
            sleep_until(ends.into()).await;
        }
        *turn = Turn { left: REQUESTS_A_TURN - 1, ends: Some(Instant::now() + TURN) };
    }
}

#[cfg(test)]
mod tests {
    use tokio::{runtime::Builder, time::sleep};

    use super::*;

    const WORK: Duration = Duration::from_millis(2);

    fn time_of(test: impl Future<Output = ()>) -> Duration {
        let begun = Instant::now();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test);
        begun.elapsed()
    }

    #[test]
    fn work_is_followed_by_a_rest_of_four_times_its_processor_time() {
        let time = time_of(async {
            let pace = Pace::default();
            for _ in 0..3 {
                let begun = thread_time();
                pace.run(async { while thread_time() - begun < WORK {} }).await;
            }
        });
        assert!(time >= WORK * (3 + 2 * REST), "{time:?}");
    }

    #[test]
    fn time_in_which_work_waits_is_not_counted() {
        let long = Duration::from_millis(200);
        let time = time_of(async {
            let pace = Pace::default();
            pace.run(sleep(long)).await;
            pace.run(async {}).await;
        });
        assert!((long..long * 2).contains(&time), "{time:?}");
    }

    #[test]
    fn only_so_many_requests_begin_in_a_turn() {
        let time = time_of(async {
            let admission = Admission::default();
            for _ in 0..10 * REQUESTS_A_TURN {
                admission.wait().await;
            }
        });
        assert!(time >= TURN * 9, "{time:?}");
    }
}

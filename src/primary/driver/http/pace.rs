//! How much of the engine's time operators may take.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::sleep_until};

/// After each piece of work the thread is left to connections for so many times as long, …
const REST: u32 = 4;

/// … and for at least so long.
const LEAST_REST: Duration = Duration::from_millis(1);

/// Lets operators' requests take turns, so that however many come, they take a fifth of the thread's time at
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
        let begun = Instant::now();
        let done = work.await;
        let now = Instant::now();
        let rest = (now.saturating_duration_since(begun) * REST).max(LEAST_REST);
        self.next.set(Some(now + rest));
        done
    }
}

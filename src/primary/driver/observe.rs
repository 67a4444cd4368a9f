//! What operators ask for: the status, the metrics, and whether the program serves.

use std::{rc::Rc, time::Instant};

use tokio::task::yield_now;

pub(super) use super::super::operator::status::Audience;
use super::{
    super::operator::{metrics::metrics_text, snapshot::Snapshot, status::status_json},
    context::Context,
    reading::{now, usage_of},
};

/// The use of how many processes is read in one turn of the engine's thread, which takes about 0.1 ms.
const AT_ONCE: usize = 8;

/// The status as JSON; null before supervision begins.
pub(super) async fn status(context: &Rc<Context>, audience: Audience) -> String {
    let snapshot = snapshot(context).await;
    snapshot.map_or_else(|| "null".to_owned(), |it| status_json(&it, audience))
}

/// The metrics as OpenMetrics text.
pub(super) async fn metrics(context: &Rc<Context>) -> String {
    metrics_text(snapshot(context).await)
}

/// Whether a worker is ready whose event loop turns, and the supervisor does not stop.
///
/// # Errors
/// Why not.
pub(super) fn readiness(context: &Context) -> Result<(), &'static str> {
    context.board.readiness(&context.counters)
}

async fn snapshot(context: &Context) -> Option<Snapshot> {
    if let Some(pids) = context.board.to_read(Instant::now()) {
        let mut used = Vec::with_capacity(pids.len());
        for some in pids.chunks(AT_ONCE) {
            used.extend(some.iter().map(|&(id, pid)| (id, usage_of(pid))));
            // Connections do not wait for the rest.
            yield_now().await;
        }
        context.board.used(used, Instant::now());
    }
    let snapshot = context.board.snapshot(&context.counters, now());
    // Operators that ask a primary which has taken the place of this one find no less there.
    context.send_counted();
    snapshot
}

//! The results of the connections.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

/// Counts, and how long each connection took.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// How long the connections took that ended well, or were waiting at the end.
    pub(crate) times: Vec<Duration>,
    /// Connections that ended well.
    pub(crate) served: u64,
    pub(crate) failures: Failures,
}

/// Connections that did not end well.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Failures {
    /// Connections that were refused or reset, or had no descriptor or port.
    pub(crate) failed: u64,
    /// Connections that were closed without an answer.
    pub(crate) unserved: u64,
    /// Connections at a fixed rate that were still waiting at the end.
    pub(crate) unanswered: u64,
}

impl Record {
    /// The line for the benchmark; times in microseconds.
    pub(crate) fn summarize(mut self, elapsed: Duration, late: Duration) -> String {
        self.times.sort_unstable();
        let percentile = |share: f64| microseconds(&self.times, share);
        json!({
            "served": self.served,
            "seconds": elapsed.as_secs_f64(),
            "failures": self.failures,
            "late": self.times.len() - self.times.partition_point(|time| *time < late),
            "latency": {
                "p50": percentile(0.5),
                "p99": percentile(0.99),
                "p999": percentile(0.999),
                "max": percentile(1.0),
            },
        })
        .to_string()
    }
}

/// The time within which this share of the connections has ended; none if there are no connections.
fn microseconds(sorted: &[Duration], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    Some(sorted.get(rank.max(1) - 1)?.as_nanos() as f64 / 1e3)
}

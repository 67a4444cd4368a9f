//! What one shape has done, and what came of it.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use super::failure::{Class, Failure};

/// So many failures of each class are described.
const EXAMPLES: u64 = 5;

/// The counts of one shape.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Requests that were begun.
    pub(crate) requests: u64,
    /// Requests whose whole and right answer came.
    pub(crate) answered: u64,
    failures: BTreeMap<Class, u64>,
    examples: Vec<Example>,
    /// Connections that were opened, or tried to.
    pub(crate) opened: u64,
    pub(crate) closed: Closed,
    /// Long connections that the server ended.
    pub(crate) ended: Ended,
    /// TLS handshakes that resumed a session.
    pub(crate) resumed: u64,
    /// HTTP/2 streams refused above the last id of a GOAWAY, which were tried again.
    pub(crate) retried: u64,
    /// Messages of WebSockets that were not echoed, because the server ended the connection politely.
    pub(crate) not_echoed: u64,
    workers: BTreeMap<String, u64>,
    latencies: Vec<Duration>,
}

/// Connections that ended while no request was under way.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Closed {
    /// The server closed them, by FIN, and had not said so.
    pub(crate) idle_fin: u64,
    /// The server reset them.
    pub(crate) idle_reset: u64,
    /// The server had said that it would, by `Connection: close` or GOAWAY, without being asked to.
    pub(crate) announced: u64,
    /// The client did, as `Keep-Alive: timeout` told it.
    pub(crate) by_client: u64,
}

/// Long connections that the server ended, by how.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Ended {
    /// By a close frame, or by the end of an answer.
    pub(crate) close: u64,
    pub(crate) fin: u64,
    pub(crate) reset: u64,
}

#[derive(Debug, Serialize)]
struct Example {
    class: Class,
    id: String,
    /// Seconds since the run began.
    at: f64,
    what: String,
}

impl Record {
    pub(crate) fn answer(&mut self, worker: Option<String>, latency: Duration) {
        self.answered += 1;
        self.latencies.push(latency);
        if let Some(worker) = worker {
            *self.workers.entry(worker).or_default() += 1;
        }
    }

    pub(crate) fn fail(&mut self, id: &str, failure: &Failure, at: Duration) {
        let count = self.failures.entry(failure.class).or_default();
        *count += 1;
        if *count <= EXAMPLES {
            self.examples.push(Example {
                class: failure.class,
                id: id.to_owned(),
                at: at.as_secs_f64(),
                what: failure.what.clone(),
            });
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The report of the shape; latencies in microseconds.
    pub(crate) fn report(&mut self, name: &str) -> Value {
        self.latencies.sort_unstable();
        let percentile = |share: f64| microseconds(&self.latencies, share);
        json!({
            "name": name,
            "requests": self.requests,
            "answered": self.answered,
            "failed": self.failed(),
            "failures": self.failures.iter().map(|(class, count)| (class.to_string(), json!(count)))
                .collect::<serde_json::Map<_, _>>(),
            "examples": self.examples,
            "opened": self.opened,
            "closed": self.closed,
            "ended": self.ended,
            "resumed": self.resumed,
            "retried": self.retried,
            "notEchoed": self.not_echoed,
            "workers": self.workers,
            "latency": {
                "p50": percentile(0.5),
                "p99": percentile(0.99),
                "p999": percentile(0.999),
                "max": percentile(1.0),
            },
        })
    }
}

/// The time within which this share of the requests was answered; none if there were no requests.
pub(crate) fn microseconds(sorted: &[Duration], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    Some(sorted.get(rank.max(1) - 1)?.as_nanos() as f64 / 1e3)
}

use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;

use crate::primary::stats::{Counts, ListenerStats, Stats, WorkerStats};

/// The engine's statistics of connections, as few values: an object for each count would take most of the time of
/// the call. `lib/primary/stats.js` reads them.
#[napi(object, object_from_js = false)]
pub struct EngineStats {
    /// The addresses of the listeners, in the order in which they were bound.
    pub addresses: Vec<String>,
    /// The numbers of each listener, then those of each worker, in the order of their ids. They are exact up to
    /// 2^53.
    pub numbers: Float64Array,
}

impl From<Stats> for EngineStats {
    fn from(Stats { listeners, workers }: Stats) -> Self {
        let mut numbers = Vec::new();
        listeners.iter().for_each(|it| add_listener(&mut numbers, it));
        workers.iter().for_each(|it| add_worker(&mut numbers, it));
        Self {
            addresses: listeners.into_iter().map(|it| it.address).collect(),
            numbers: numbers.into(),
        }
    }
}

fn add_listener(numbers: &mut Vec<f64>, stats: &ListenerStats) {
    let ListenerStats { address: _, workers, accepted, counts, waiting, parked, handover } = stats;
    numbers.push(workers.len() as f64);
    numbers.extend(workers.iter().map(|&id| f64::from(id)));
    numbers.extend([*accepted as f64, *waiting as f64, *parked as f64]);
    numbers.push(handover.buckets.len() as f64);
    numbers.extend(handover.buckets.iter().map(|&count| count as f64));
    add_counts(numbers, counts);
}

fn add_worker(numbers: &mut Vec<f64>, stats: &WorkerStats) {
    let WorkerStats { id, accepted, counts, waiting, open, stalled, is_blocked: _ } = stats;
    let [accepted, waiting, open] = [*accepted as f64, *waiting as f64, *open as f64];
    numbers.extend([f64::from(*id), accepted, waiting, open, f64::from(u8::from(*stalled))]);
    add_counts(numbers, counts);
}

fn add_counts(numbers: &mut Vec<f64>, counts: &Counts) {
    let Counts { handed_over, reclaimed, rescued, returned, moved } = *counts;
    numbers.extend([handed_over, reclaimed, rescued, returned, moved].map(|count| count as f64));
}

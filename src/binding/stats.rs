use napi_derive::napi;

use crate::primary::stats::{Counts, ListenerStats, Stats, WorkerStats};

/// The engine's statistics of connections. Numbers are exact up to 2^53.
#[napi(object, object_from_js = false)]
pub struct EngineStats {
    /// The listeners, in the order in which they were bound.
    pub listeners: Vec<EngineListener>,
    /// The workers, in the order of their ids.
    pub workers: Vec<EngineWorker>,
}

/// What happened to connections.
#[napi(object, object_from_js = false)]
pub struct EngineCounts {
    /// How many were put into the hand-off queues of workers.
    pub handed_over: f64,
    /// How many were taken back from workers that left, died or were paused.
    pub reclaimed: f64,
    /// How many were taken back from workers whose event loops were blocked.
    pub rescued: f64,
    /// How many were returned by workers that could not serve them.
    pub returned: f64,
    /// How many were left to the engine by workers that drained, while they were idle.
    pub moved: f64,
}

/// An address.
#[napi(object, object_from_js = false)]
pub struct EngineListener {
    /// The address, as people read it.
    pub address: String,
    /// The ids of the workers that serve it.
    pub workers: Vec<u32>,
    /// How many connections were accepted.
    pub accepted: f64,
    /// What happened to them.
    pub counts: EngineCounts,
    /// How many wait in the engine.
    pub waiting: u32,
    /// How many idle ones wait in the engine for their clients, since workers drained.
    pub parked: u32,
    /// How many connections were handed over in less than 1 µs, less than 2 µs, less than 4 µs, …
    pub handover_times: Vec<f64>,
}

/// A worker.
#[napi(object, object_from_js = false)]
pub struct EngineWorker {
    /// Its id.
    pub id: u32,
    /// How many connections it accepted itself.
    pub accepted: f64,
    /// What happened to the connections that it was given.
    pub counts: EngineCounts,
    /// How many connections wait for it.
    pub waiting: u32,
    /// How many connections it has open, including those that wait in its hand-off queue.
    pub open: u32,
    /// Whether its event loop seems to be blocked.
    pub stalled: bool,
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl From<Stats> for EngineStats {
    fn from(stats: Stats) -> Self {
        Self {
            listeners: stats.listeners.into_iter().map(Into::into).collect(),
            workers: stats.workers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Counts> for EngineCounts {
    fn from(Counts { handed_over, reclaimed, rescued, returned, moved }: Counts) -> Self {
        Self {
            handed_over: handed_over as f64,
            reclaimed: reclaimed as f64,
            rescued: rescued as f64,
            returned: returned as f64,
            moved: moved as f64,
        }
    }
}

impl From<ListenerStats> for EngineListener {
    fn from(stats: ListenerStats) -> Self {
        let ListenerStats { address, workers, accepted, counts, waiting, parked, handover } = stats;
        Self {
            address,
            workers,
            accepted: accepted as f64,
            counts: counts.into(),
            waiting: number(waiting),
            parked: number(parked),
            handover_times: handover.buckets.iter().map(|&count| count as f64).collect(),
        }
    }
}

impl From<WorkerStats> for EngineWorker {
    fn from(stats: WorkerStats) -> Self {
        let WorkerStats { id, accepted, counts, waiting, open, stalled, .. } = stats;
        Self {
            id,
            accepted: accepted as f64,
            counts: counts.into(),
            waiting: number(waiting),
            open: number(open),
            stalled,
        }
    }
}

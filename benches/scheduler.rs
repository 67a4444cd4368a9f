//! What one decision costs, by policy, number of workers and what they are doing:
//! `cargo bench --no-default-features`. What the answers cost is not in it.

use core::net::{IpAddr, Ipv4Addr};
use std::{cell::Cell, hint::black_box};

use criterion::{Criterion, criterion_group, criterion_main};
use rs_cluster::{
    protocol::WorkerId,
    scheduler::{LeastConnections, Policy, RoundRobin, Situation, SourceHash},
};

/// What the workers are doing.
#[derive(Debug, Clone, Copy)]
enum Scene {
    /// Nothing.
    Idle,
    /// Everybody has something, nobody less than others.
    Busy,
    /// Every other one can take no more.
    HalfAway,
    /// Nobody can take any more.
    Full,
}

struct Simulated {
    scene: Scene,
    clients: Cell<u32>,
}

impl Simulated {
    fn load(&self, worker: WorkerId) -> Option<usize> {
        match self.scene {
            Scene::Idle => Some(0),
            Scene::Busy => Some(3),
            Scene::HalfAway => worker.is_multiple_of(2).then_some(3),
            Scene::Full => None,
        }
    }
}

impl Situation for Simulated {
    fn waiting(&self, worker: WorkerId) -> Option<usize> {
        self.load(worker)
    }

    fn open(&self, worker: WorkerId) -> Option<usize> {
        self.load(worker)
    }

    fn source(&self) -> Option<IpAddr> {
        let client = self.clients.replace(self.clients.get().wrapping_add(1));
        Some(Ipv4Addr::from_bits(client).into())
    }
}

fn measure<P: Policy + Default>(criterion: &mut Criterion, name: &str) {
    for scene in [Scene::Idle, Scene::Busy, Scene::HalfAway, Scene::Full] {
        let mut group = criterion.benchmark_group(format!("{name}/{scene:?}"));
        for workers in [2, 8, 64, 512, 1024] {
            let mut policy = P::default();
            (0..workers).for_each(|worker| policy.join(worker));
            let simulated = Simulated { scene, clients: Cell::new(0) };
            group.bench_function(workers.to_string(), |bencher| {
                bencher.iter(|| black_box(policy.choose(&simulated)));
            });
        }
        group.finish();
    }
}

fn decisions(criterion: &mut Criterion) {
    measure::<RoundRobin>(criterion, "round robin");
    measure::<LeastConnections>(criterion, "least connections");
    measure::<SourceHash>(criterion, "source hash");
}

criterion_group!(benches, decisions);
criterion_main!(benches);

//! What the core's decisions cost under supervision, by the numbers of workers, listeners and parked connections:
//! `cargo bench --no-default-features`. What the driver does is not in it: no system call is made.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rs_cluster::primary::workbench::Program;

const WORKERS: [u32; 3] = [16, 256, 1000];
const LISTENERS: [u16; 3] = [1, 10, 200];
/// Where listeners are many.
const FEW_WORKERS: u32 = 16;

/// The programs to measure, by name.
fn programs() -> impl Iterator<Item = (String, Program)> {
    let by_workers = WORKERS.into_iter().map(|workers| (workers, 1));
    let by_listeners = LISTENERS.into_iter().skip(1).map(|listeners| (FEW_WORKERS, listeners));
    by_workers.chain(by_listeners).map(|(workers, listeners)| {
        let name = format!("{workers} workers, {listeners} listeners");
        (name, Program::new(workers, listeners, Instant::now()))
    })
}

fn measure(criterion: &mut Criterion, group: &str, mut act: impl FnMut(&mut Program)) {
    let mut group = criterion.benchmark_group(group);
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    for (name, mut program) in programs() {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| act(&mut program));
        });
        assert!(program.is_well());
    }
    group.finish();
}

/// With so many connections parked already.
fn parked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a parked connection");
    group.sample_size(20).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    for (workers, parked) in [(16, 0), (256, 0), (1000, 0), (16, 10_000), (16, 100_000)] {
        let mut program = Program::new(workers, 1, Instant::now());
        program.park(parked);
        let name = format!("{workers} workers, {parked} parked");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| program.park_and_speak());
        });
        assert_eq!(program.parked(), parked, "all others have gone to workers");
    }
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    measure(criterion, "a connection", Program::connect);
    measure(criterion, "a report of a worker", Program::report);
    measure(criterion, "a queue is full, and has room", Program::fill_queue);
    measure(criterion, "a look at workers that turn", |it| it.look(true));
    measure(criterion, "a look at workers that sleep", |it| it.look(false));
    measure(criterion, "a reload", Program::reload);
    parked(criterion);
}

criterion_group!(benches, decisions);
criterion_main!(benches);

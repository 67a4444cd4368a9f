use crate::protocol::WorkerId;

/// Points of each worker.
const POINTS: u64 = 32;

/// Points of each client.
pub(super) const PROBES: usize = 8;

/// What is farther than all points.
const NOTHING: (u64, Option<WorkerId>) = (u64::MAX, None);

/// Workers by client: multi-probe consistent hashing (Appleton and O'Reilly, 2015).
///
/// Workers and clients have points on a circle. From each of its own points a client looks for the
/// next one of a worker, and the nearest of those it finds is that of its worker. So that depends on
/// nothing but who the workers are, and one that comes or goes changes it only for its own clients.
/// With 32 points of each worker and 8 of each client, shares differ by 4 % (one standard deviation),
/// for which it would take 500 points of each worker if clients had one.
///
/// What it costs does not depend on how many workers there are, unless they come or go.
#[derive(Debug, Default)]
pub(super) struct HashRing {
    /// In their order, with whose they are.
    points: Vec<(u64, WorkerId)>,
    /// As many equal arcs as there are points: the index of the first point in each, or behind it.
    arcs: Vec<usize>,
}

impl HashRing {
    pub(super) fn join(&mut self, worker: WorkerId) {
        for number in 0..POINTS {
            // Never the same for two workers, as it can be undone.
            let point = mix(u64::from(worker) * POINTS + number);
            let index = self.points.partition_point(|&(other, _)| other < point);
            self.points.insert(index, (point, worker));
        }
        self.divide();
    }

    pub(super) fn leave(&mut self, worker: WorkerId) {
        self.points.retain(|&(_, member)| member != worker);
        self.divide();
    }

    fn divide(&mut self) {
        self.arcs.clear();
        for (index, &(point, _)) in self.points.iter().enumerate() {
            let arc = arc(point, self.points.len());
            // Those since the last point have none, so this is the first behind them.
            if arc >= self.arcs.len() {
                self.arcs.resize(arc + 1, index);
            }
        }
        self.arcs.resize(self.points.len(), self.points.len());
    }

    /// The workers of a client, its own first, then whose points are nearest after that. Some are there
    /// several times.
    pub(super) fn choices(&self, client: u64) -> impl Iterator<Item = WorkerId> {
        let mut nearest = [NOTHING; PROBES];
        for (number, found) in (0..).zip(&mut nearest) {
            let probe = mix(client.wrapping_add(number));
            if let Some((point, worker)) = self.next(probe) {
                *found = (point.wrapping_sub(probe), Some(worker));
            }
        }
        // Usually the first is all that is asked for.
        std::iter::from_fn(move || {
            let first = nearest.iter_mut().min_by_key(|(distance, _)| *distance)?;
            std::mem::replace(first, NOTHING).1
        })
    }

    /// The next point of a worker.
    fn next(&self, probe: u64) -> Option<(u64, WorkerId)> {
        let first = *self.arcs.get(arc(probe, self.arcs.len()))?;
        let mut here = self.points.get(first..)?.iter();
        here.find(|&&(point, _)| point >= probe).or_else(|| self.points.first()).copied()
    }
}

/// In which of so many equal arcs the point is.
fn arc(point: u64, count: usize) -> usize {
    ((u128::from(point) * count as u128) >> 64) as usize
}

/// Scatters numbers: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

use crate::protocol::WorkerId;

/// How many points each worker has.
const POINTS: u64 = 32;

/// How many points each client has.
pub(super) const PROBES: usize = 8;

/// A result that is farther than all points.
const NOTHING: (u64, Option<WorkerId>) = (u64::MAX, None);

/// Workers by client: multi-probe consistent hashing (Appleton and O'Reilly, 2015).
///
/// Workers and clients have points on a circle. From each point of a client, the next point of a worker
/// is looked up; the nearest of these belongs to the client's worker. So the choice depends only on
/// which workers there are, and a worker that joins or leaves changes it only for its own clients. With
/// 32 points for each worker and 8 for each client, shares differ by 4 % (one standard deviation); with
/// one point for each client, each worker would need 500.
///
/// The cost of a look-up does not depend on the number of workers; that of joining and leaving does.
#[derive(Debug, Default)]
pub(super) struct HashRing {
    /// All points in order, with their workers.
    points: Vec<(u64, WorkerId)>,
    /// The circle in as many equal arcs as there are points: for each, the index of the first point in
    /// it, or after it.
    arcs: Vec<usize>,
}

impl HashRing {
    pub(super) fn join(&mut self, worker: WorkerId) {
        for number in 0..POINTS {
            // Two workers never have the same point, because `mix` is invertible.
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
            // The arcs since the last point are empty, so this is the first point after them.
            if arc >= self.arcs.len() {
                self.arcs.resize(arc + 1, index);
            }
        }
        self.arcs.resize(self.points.len(), self.points.len());
    }

    /// The workers of a client, its own first, then the others by the distance of their points. A
    /// worker may come several times.
    pub(super) fn choices(&self, client: u64) -> impl Iterator<Item = WorkerId> {
        let mut nearest = [NOTHING; PROBES];
        for (number, found) in (0..).zip(&mut nearest) {
            let probe = mix(client.wrapping_add(number));
            if let Some((point, worker)) = self.next(probe) {
                *found = (point.wrapping_sub(probe), Some(worker));
            }
        }
        // Usually only the first is needed.
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

/// The index of the arc with a point, of `count` equal arcs.
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

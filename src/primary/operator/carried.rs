//! What goes on in another primary of what is counted here.

use std::{collections::BTreeMap, time::Duration};

use super::record::Record;
use crate::{
    primary::core::supervise::report::SlotNumber,
    protocol::upgrade::{Counted, CountedOf},
};

/// The names of what is counted of a slot: the workers started after the first, and the processor time of those that
/// have ended, in nanoseconds.
const RESTARTS: &str = "restarts";
const CPU_TIME: &str = "cpuTime";

/// The names of what is counted of the whole.
const CUT: &str = "cut";
const HUNG: &str = "hung";
const BLOCKED: &str = "blocked";
const RELOADS: &str = "reloads";
const FAILED_RELOADS: &str = "failedReloads";

/// Before the name of what operators have asked for.
const REQUESTS: &str = "requests.";

/// For how many different things operators may have asked.
const MOST_REQUESTS: usize = 100;

/// What another primary has been told already.
#[derive(Debug, Default)]
pub(in super::super) struct Carrier {
    told: BTreeMap<(CountedOf, String), u64>,
}

impl Carrier {
    /// What has happened since the last call. `reloads`: those of this primary that ended well, and that failed.
    pub(super) fn carried(&mut self, record: &Record, (done, failed): (u64, u64)) -> Vec<Counted> {
        let Record { tally, requests, .. } = record;
        let mut counts = BTreeMap::<CountedOf, BTreeMap<String, u64>>::new();
        let mut add = |of: CountedOf, name: &str, count: u64| {
            let told = self.told.insert((of.clone(), name.to_owned()), count);
            let more = count.saturating_sub(told.unwrap_or_default());
            // A slot of which nothing is counted yet is shown nevertheless, also where it is no longer.
            let is_new = told.is_none() && matches!(of, CountedOf::Slot(_));
            if more > 0 || is_new {
                counts.entry(of).or_default().insert(name.to_owned(), more);
            }
        };
        for (slot, restarts) in record.restarts() {
            add(CountedOf::Slot(slot), RESTARTS, restarts);
        }
        for (slot, time) in record.cpu() {
            add(CountedOf::Slot(slot), CPU_TIME, nanos(time));
        }
        let failed = failed + tally.unprepared_reloads + record.failed_reloads_before;
        for (name, count) in [
            (CUT, tally.cut),
            (HUNG, tally.hung),
            (BLOCKED, tally.blocked),
            (RELOADS, done + record.reloads_before),
            (FAILED_RELOADS, failed),
        ] {
            add(CountedOf::Program, name, count);
        }
        for (endpoint, count) in requests {
            add(CountedOf::Program, &format!("{REQUESTS}{endpoint}"), *count);
        }
        let counted = |(of, counts)| Counted { of, counts, buckets: Vec::new() };
        counts.into_iter().map(counted).collect()
    }
}

impl Record {
    /// This has happened in another primary.
    pub(super) fn add_carried(&mut self, counted: &Counted) {
        match &counted.of {
            CountedOf::Slot(slot) => self.add_of_slot(*slot, &counted.counts),
            CountedOf::Program => {
                for (name, count) in &counted.counts {
                    self.add_of_program(name, *count);
                }
            }
            CountedOf::Address(_) => {}
        }
    }

    fn add_of_slot(&mut self, slot: SlotNumber, counts: &BTreeMap<String, u64>) {
        if let Some(restarts) = counts.get(RESTARTS) {
            let before = &mut self.restarts.entry(slot).or_default().before;
            *before = before.saturating_add(*restarts);
        }
        if let Some(time) = counts.get(CPU_TIME) {
            let ended = self.ended_cpu.entry(slot).or_default();
            *ended = ended.saturating_add(Duration::from_nanos(*time));
        }
    }

    fn add_of_program(&mut self, name: &str, more: u64) {
        let count = match name {
            CUT => &mut self.tally.cut,
            HUNG => &mut self.tally.hung,
            BLOCKED => &mut self.tally.blocked,
            RELOADS => &mut self.reloads_before,
            FAILED_RELOADS => &mut self.failed_reloads_before,
            _ => {
                let endpoint = name.strip_prefix(REQUESTS);
                let has_room = self.requests.len() < MOST_REQUESTS;
                let known = |it: &&str| has_room || self.requests.contains_key(*it);
                let Some(endpoint) = endpoint.filter(known) else { return };
                self.requests.entry(endpoint.to_owned()).or_default()
            }
        };
        *count = count.saturating_add(more);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::{
        super::record::{End, Moment, epoch},
        *,
    };
    use crate::primary::core::supervise::report::Report;

    /// What the slots and the whole show.
    fn shown(record: &Record) -> String {
        let Record { tally, requests, reloads_before, failed_reloads_before, .. } = record;
        let (restarts, cpu) = (record.restarts(), record.cpu());
        format!(
            "{tally:?} {requests:?} {reloads_before} {failed_reloads_before} {restarts:?} {cpu:?}"
        )
    }

    #[test]
    fn another_primary_goes_on_with_what_has_happened() {
        let (mut old, mut new) = (Record::default(), Record::default());
        let now = Moment { instant: Instant::now(), epoch: epoch(SystemTime::now()) };
        let mut carrier = Carrier::default();
        old.add_process(1, 7, Some(2));
        let cpu = Some(Duration::from_millis(1500));
        old.exited(1, End { cut: 3, cpu, ..End::default() }, now);
        let hung = Report::Hung { worker: 1, time: Duration::ZERO, stack: None };
        old.report(&hung, None, now);
        old.count_request("metrics");
        for (reloads, lines) in [((4, 1), 2), ((4, 1), 0), ((5, 1), 1)] {
            let carried = carrier.carried(&old, reloads);
            assert_eq!(carried.len(), lines);
            carried.iter().for_each(|it| new.add_carried(it));
        }
        let wanted = Record { reloads_before: 5, failed_reloads_before: 1, ..old };
        assert_eq!(shown(&new), shown(&wanted));
        // And so does the one after that.
        let mut third = Record::default();
        let carried = Carrier::default().carried(&new, (0, 0));
        carried.iter().for_each(|it| third.add_carried(it));
        assert_eq!(shown(&third), shown(&new));
    }

    #[test]
    fn unknown_names_do_no_harm() {
        let mut record = Record::default();
        let counts = (0..200).map(|at| (format!("{REQUESTS}{at}"), 1));
        let counts = counts.chain([("later".to_owned(), 1)]).collect();
        record.add_carried(&Counted { of: CountedOf::Program, counts, buckets: Vec::new() });
        assert_eq!(record.requests.len(), MOST_REQUESTS);
    }
}

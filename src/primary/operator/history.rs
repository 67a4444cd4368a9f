//! How many connections were accepted in each of the last seconds, and how long they took to be handed over.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::super::core::stats::{Histogram, Total};

/// How many seconds are remembered.
const LENGTH: usize = 120;

/// Samples that come sooner are not taken.
const SOONEST: Duration = Duration::from_millis(950);

/// One second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// Connections accepted.
    pub accepted: f64,
    /// Half of them were handed over within so many microseconds; `None` if none was.
    pub p50: Option<f64>,
    /// The same of 99 %.
    pub p99: Option<f64>,
}

/// The last seconds. A sample is taken when there is an occasion, so that nothing has to wake for it; where
/// one comes late, it stands for each second since the one before.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    seconds: VecDeque<Second>,
    last: Option<(Instant, Total)>,
}

impl History {
    /// So much has been counted until now.
    pub(super) fn sample(&mut self, total: Total, now: Instant) {
        let Some((at, before)) = self.last else {
            self.last = Some((now, total));
            return;
        };
        let elapsed = now.saturating_duration_since(at);
        if elapsed < SOONEST {
            return;
        }
        self.last = Some((now, total));
        let rate = total.accepted.saturating_sub(before.accepted) as f64 / elapsed.as_secs_f64();
        let times = times_between(before.handover, total.handover);
        let second = Second {
            accepted: tenths(rate),
            p50: quantile(&times, 0.5),
            p99: quantile(&times, 0.99),
        };
        let count = (elapsed.as_secs_f64().round() as usize).clamp(1, LENGTH);
        self.seconds.extend(std::iter::repeat_n(second, count));
        let surplus = self.seconds.len().saturating_sub(LENGTH);
        self.seconds.drain(..surplus);
    }

    /// Oldest first.
    pub(super) fn seconds(&self) -> Vec<Second> {
        self.seconds.iter().copied().collect()
    }
}

fn times_between(before: Histogram, after: Histogram) -> [u64; 24] {
    std::array::from_fn(|at| after.buckets[at].saturating_sub(before.buckets[at]))
}

/// In microseconds. Within a bucket, times are taken to be spread evenly.
fn quantile(times: &[u64; 24], part: f64) -> Option<f64> {
    let count: u64 = times.iter().sum();
    if count == 0 {
        return None;
    }
    let rank = part * count as f64;
    let mut below = 0.0;
    for (at, &here) in times.iter().enumerate().filter(|(_, here)| **here > 0) {
        let here = here as f64;
        if below + here >= rank {
            let upper = (1u64 << at) as f64;
            let lower = if at == 0 { 0.0 } else { upper / 2.0 };
            return Some(tenths(lower + (upper - lower) * (rank - below) / here));
        }
        below += here;
    }
    None
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(accepted: u64, times: &[(usize, u64)]) -> Total {
        let mut total = Total { accepted, ..Total::default() };
        for &(bucket, count) in times {
            total.handover.buckets[bucket] = count;
        }
        total
    }

    #[test]
    fn each_second_has_the_difference_of_two_samples() {
        let (mut history, start) = (History::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        history.sample(total(100, &[(5, 100)]), start);
        assert_eq!(history.seconds(), []);
        history.sample(total(150, &[(5, 150)]), after(500));
        history.sample(total(200, &[(5, 200)]), after(1000));
        history.sample(total(200, &[(5, 200)]), after(2000));
        let idle = Second { accepted: 0.0, p50: None, p99: None };
        let busy = Second { accepted: 100.0, p50: Some(24.0), p99: Some(31.8) };
        assert_eq!(history.seconds(), [busy, idle]);
    }

    #[test]
    fn a_late_sample_stands_for_each_second_before() {
        let (mut history, start) = (History::default(), Instant::now());
        history.sample(total(0, &[]), start);
        history.sample(total(30, &[(0, 30)]), start + Duration::from_secs(3));
        let second = Second { accepted: 10.0, p50: Some(0.5), p99: Some(1.0) };
        assert_eq!(history.seconds(), [second; 3]);
        history.sample(total(30, &[(0, 30)]), start + Duration::from_secs(10_000));
        assert_eq!(history.seconds(), [Second::default(); LENGTH]);
    }

    #[test]
    fn the_rate_does_not_depend_on_when_the_sample_is_taken() {
        let (mut history, start) = (History::default(), Instant::now());
        history.sample(total(0, &[]), start);
        history.sample(total(1250, &[]), start + Duration::from_millis(1250));
        assert_eq!(history.seconds().len(), 1);
        assert_eq!(history.seconds()[0].accepted, 1000.0);
    }
}

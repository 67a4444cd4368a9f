'use strict';

// Starts connections at a fixed rate, even if earlier ones are late, and measures how long each takes from
// the moment at which it should start.

const { WARM_UP_SECONDS } = require('./cost.js');
const { failuresOf, failuresOfWarmUp } = require('./failures.js');
const { runLoad } = require('./load.js');

const PATIENCE_SECONDS = 3;
const LATE_MS = 100;

function toMilliseconds(latency) {
  const times = Object.entries(latency);
  return Object.fromEntries(times.map(([key, time]) => [key, time === null ? null : time / 1e3]));
}

/** Measures percentiles in ms, and how many connections in a thousand took longer than `LATE_MS`. */
async function measureLatency({ port }, { protocol }, { rate, seconds }) {
  const load = { port, protocol, pace: { rate }, lateMs: LATE_MS };
  const patienceSeconds = PATIENCE_SECONDS;
  const warmUp = await runLoad({ ...load, seconds: WARM_UP_SECONDS, patienceSeconds });
  const loaded = await runLoad({ ...load, seconds, patienceSeconds });
  const { latency, late, served, errors } = loaded;
  const finished = served + errors.unanswered;
  return {
    ...toMilliseconds(latency),
    served,
    late: finished > 0 ? (late * 1e3) / finished : null,
    failures: [...failuresOf(loaded), ...failuresOfWarmUp(warmUp)],
  };
}

function percentile(key, label) {
  return { key, title: `${label} ms`, unit: 'ms', label, digits: 2, better: 'less' };
}

const PERCENTILES = [
  percentile('p50', 'p50'),
  percentile('p99', 'p99'),
  percentile('p999', 'p99.9'),
];

module.exports = { LATE_MS, PATIENCE_SECONDS, PERCENTILES, measureLatency };

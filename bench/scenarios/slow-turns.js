'use strict';

// Workers with busy event loops: every turn takes 5 ms. node:cluster hands over one connection per turn.

const { WARM_UP_SECONDS } = require('../lib/cost.js');
const { failuresOf, failuresOfWarmUp } = require('../lib/failures.js');
const { runLoad } = require('../lib/load.js');
const { serverScenario } = require('../lib/server-scenario.js');

const TURN_MS = 5;
const CONCURRENCY = 64;

async function measure({ port }, { protocol }, { seconds }) {
  const load = { port, protocol, pace: { concurrency: CONCURRENCY } };
  const warmUp = await runLoad({ ...load, seconds: WARM_UP_SECONDS });
  const loaded = await runLoad({ ...load, seconds });
  return { ...loaded, failures: [...failuresOf(loaded), ...failuresOfWarmUp(warmUp)] };
}

module.exports = serverScenario({
  summary: `new connections a second, to workers whose event loops take ${TURN_MS} ms a turn`,
  defaults: { rounds: '3', seconds: '2' },
  quick: { seconds: '1' },
  casesOf: ({ workers: counts }) =>
    counts.map((workers) => ({
      name: `http, ${workers} workers`,
      title: `HTTP, ${workers} workers, turns of ${TURN_MS} ms`,
      server: { workers, protocol: 'http', turnMs: TURN_MS },
    })),
  measure,
  columns: [
    { key: 'rate', title: 'connections/s', unit: 'connections/s', better: 'more', hasRange: true },
  ],
  describe: () =>
    `${WARM_UP_SECONDS} s of warm-up before; load: ${CONCURRENCY} connections at a time`,
});

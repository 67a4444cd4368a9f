'use strict';

// The primary's JavaScript is blocked during the whole measurement.

const { WARM_UP_SECONDS } = require('../lib/cost.js');
const { failuresOf, failuresOfWarmUp } = require('../lib/failures.js');
const { runLoad } = require('../lib/load.js');
const { serverScenario } = require('../lib/server-scenario.js');
const { UserError } = require('../../tools/user-error.js');

const CONCURRENCY = 64;
const GRACE_MS = 10_000;

async function measure(server, { protocol }, { seconds }) {
  const load = { port: server.port, protocol, pace: { concurrency: CONCURRENCY } };
  const warmUp = await runLoad({ ...load, seconds: WARM_UP_SECONDS });
  const free = await runLoad({ ...load, seconds });
  const blockMs = seconds * 1000 + GRACE_MS;
  const start = performance.now();
  await server.block(blockMs);
  const blocked = await runLoad({ ...load, seconds });
  if (performance.now() - start > blockMs) {
    throw new UserError(
      `${server.name}: its primary was no longer blocked, this machine is too busy`,
    );
  }
  // Connections that are not served are the result here, not a failure of the measurement.
  return {
    ...blocked,
    kept: (100 * blocked.rate) / free.rate,
    failures: [...failuresOf(free), ...failuresOfWarmUp(warmUp)],
  };
}

module.exports = serverScenario({
  summary: "new connections a second while the primary's JavaScript is blocked",
  defaults: { rounds: '3', seconds: '2' },
  quick: { seconds: '1' },
  casesOf: ({ workers: counts }) =>
    counts.map((workers) => ({
      name: `http, ${workers} workers`,
      title: `HTTP, ${workers} workers, primary blocked`,
      server: { workers, protocol: 'http' },
    })),
  measure,
  columns: [
    { key: 'rate', title: 'connections/s', unit: 'connections/s', better: 'more', hasRange: true },
    { key: 'kept', title: '% of unblocked', hasRatio: false },
  ],
  describe: () =>
    `as long unblocked before, and ${WARM_UP_SECONDS} s of warm-up; load: ${CONCURRENCY} connections at a time`,
});

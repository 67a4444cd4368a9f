'use strict';

// Requests per second on connections that stay open: nothing is handed over, so only how evenly the
// connections are spread should differ.

const { WARM_UP_SECONDS, measureCost } = require('../lib/cost.js');
const { serverScenario } = require('../lib/server-scenario.js');
const { requireWrk, runWrk } = require('../lib/wrk.js');

const CONNECTIONS = 64;

module.exports = serverScenario({
  summary: 'HTTP requests a second on connections that stay open',
  defaults: { rounds: '3', seconds: '3' },
  quick: { seconds: '1' },
  casesOf: ({ workers: counts }) =>
    counts.map((workers) => ({
      name: `${workers} workers`,
      title: `HTTP keep-alive, ${workers} workers`,
      server: { workers, protocol: 'http' },
    })),
  prepare: requireWrk,
  measure: async (server, _settings, { seconds }) => {
    const load = { port: server.port, threads: 1, connections: CONNECTIONS };
    const { latency, ...measured } = await measureCost(
      server,
      (time) => runWrk({ ...load, seconds: time }),
      seconds,
    );
    return { ...measured, p99: latency.p99 / 1e3 };
  },
  columns: [
    { key: 'rate', title: 'requests/s', unit: 'requests/s', better: 'more', hasRange: true },
    { key: 'p99', title: 'p99 ms', digits: 2 },
    { key: 'workersCpu', title: 'workers µs/request', digits: 1 },
  ],
  describe: () => `${WARM_UP_SECONDS} s of warm-up before; load: ${CONNECTIONS} connections`,
});

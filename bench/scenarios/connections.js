'use strict';

// New connections per second, by HTTP and plain TCP: each is opened, served and closed, so the opponents
// mainly differ in the hand-over of connections.

const { WARM_UP_SECONDS, measureCost } = require('../lib/cost.js');
const { cpuSource } = require('../lib/cpu.js');
const { INDEPENDENT } = require('../lib/opponents.js');
const { runLoad } = require('../lib/load.js');
const { serverScenario } = require('../lib/server-scenario.js');
const { requireWrk, runWrk } = require('../lib/wrk.js');

const CONCURRENCY = 64;

const LOADS = {
  http: ({ port }, seconds) => {
    const headers = { Connection: 'close' };
    return runWrk({ port, seconds, threads: 1, connections: CONCURRENCY, headers });
  },
  tcp: ({ port }, seconds) =>
    runLoad({ port, protocol: 'tcp', pace: { concurrency: CONCURRENCY }, seconds }),
};

function casesOf({ workers: counts }) {
  return Object.keys(LOADS).flatMap((protocol) =>
    counts.map((workers) => ({
      name: `${protocol}, ${workers} workers`,
      title: `${protocol.toUpperCase()}, ${workers} workers`,
      server: { workers, protocol },
    })),
  );
}

module.exports = serverScenario({
  summary: 'new connections a second, HTTP (Connection: close) and TCP, CPU per connection',
  defaults: { rounds: '7', seconds: '2', workers: '2,4,8' },
  quick: { rounds: '3', seconds: '1' },
  casesOf,
  prepare: (options, cases) => {
    if (cases.some(({ server }) => server.protocol === 'http')) requireWrk(options);
  },
  measure: (server, { protocol }, { seconds }) =>
    measureCost(server, (time) => LOADS[protocol](server, time), seconds),
  columns: [
    { key: 'rate', title: 'connections/s', unit: 'connections/s', better: 'more', hasRange: true },
    {
      key: 'ofIndependent',
      of: 'rate',
      to: INDEPENDENT,
      isRatio: true,
      isDrawn: false,
      title: 'of independent',
      unit: `times ${INDEPENDENT}`,
      label: 'connections/s',
      digits: 2,
      better: 'more',
    },
    {
      key: 'primaryCpu',
      title: 'primary µs/conn',
      unit: 'µs/connection',
      label: 'CPU of the primary',
      digits: 1,
      better: 'less',
    },
    {
      key: 'workersCpu',
      title: 'workers µs/conn',
      unit: 'µs/connection',
      label: 'CPU of the workers',
      digits: 1,
      better: 'less',
    },
  ],
  describe: () =>
    `${WARM_UP_SECONDS} s of warm-up before; load: ${CONCURRENCY} connections at a time, on the ` +
    `same machine\nCPU from ${cpuSource ?? 'nowhere: no /proc here'}`,
});

'use strict';

// The event loop of one worker is blocked now and then: how long connections take meanwhile, at a rate that
// the others can easily serve.

const { LATE_MS, PATIENCE_SECONDS, PERCENTILES, measureLatency } = require('../lib/fixed-rate.js');
const { serverScenario } = require('../lib/server-scenario.js');

const STALL = { ms: 1000, everyMs: 2000 };

module.exports = serverScenario({
  summary: `how long a connection takes while one worker stalls for ${STALL.ms} ms now and then`,
  defaults: { rounds: '9', seconds: '4', workers: '3', rate: '500' },
  quick: { rounds: '3' },
  casesOf: ({ workers: counts }) =>
    counts.map((workers) => ({
      name: `http, ${workers} workers`,
      title: `HTTP, one of ${workers} workers stalls`,
      server: { workers, protocol: 'http', stall: STALL },
    })),
  measure: measureLatency,
  columns: [
    ...PERCENTILES,
    { key: 'max', title: 'max ms', unit: 'ms', label: 'longest', better: 'less' },
    {
      key: 'late',
      title: `‰ over ${LATE_MS} ms`,
      unit: '‰',
      label: `over ${LATE_MS} ms`,
      digits: 1,
      better: 'less',
    },
  ],
  describe: ({ rate }) =>
    `${rate} connections a second; one worker stalls for ${STALL.ms} ms, every ${STALL.everyMs} ms\n` +
    `What is not answered ${PATIENCE_SECONDS} s after the end counts with the time that it has waited`,
});

'use strict';

// How long a connection takes at a rate that every opponent can serve.

const { PERCENTILES, measureLatency } = require('../lib/fixed-rate.js');
const { serverScenario } = require('../lib/server-scenario.js');

module.exports = serverScenario({
  summary: 'how long a connection takes at a fixed rate, HTTP (Connection: close) and TCP',
  defaults: { rounds: '3', seconds: '5', rate: '1000' },
  casesOf: ({ workers: counts, rate }) =>
    ['http', 'tcp'].flatMap((protocol) =>
      counts.map((workers) => ({
        name: `${protocol}, ${workers} workers`,
        title: `${protocol.toUpperCase()}, ${rate}/s, ${workers} workers`,
        server: { workers, protocol },
      })),
    ),
  measure: measureLatency,
  columns: [...PERCENTILES, { key: 'max', title: 'max ms', digits: 2, hasRatio: false }],
  describe: ({ rate }) => `${rate} connections a second, each from its own moment on`,
});

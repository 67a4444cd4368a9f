'use strict';

// How long a connection takes at a rate that every opponent can serve, and at half of what the baseline can.

const { PERCENTILES, measureLatency } = require('../lib/fixed-rate.js');
const { BASELINE } = require('../lib/opponents.js');
const { findSaturation } = require('../lib/saturation.js');
const { serverScenario } = require('../lib/server-scenario.js');
const { formatNumber } = require('../lib/table.js');

const PROTOCOLS = ['http', 'tcp'];

function casesOf({ workers: counts, rate }) {
  return PROTOCOLS.flatMap((protocol) =>
    counts.flatMap((workers) => {
      const server = { workers, protocol };
      const title = protocol.toUpperCase();
      return [
        {
          name: `${protocol}, ${workers} workers`,
          title: `${title}, ${rate}/s, ${workers} workers`,
          server,
        },
        {
          name: `${protocol}, half, ${workers} workers`,
          title: `${title}, half of saturation, ${workers} workers`,
          server,
          isHalf: true,
        },
      ];
    }),
  );
}

async function prepare(_options, cases, opponents) {
  const baseline = opponents.find(({ name }) => name === BASELINE);
  for (const it of cases.filter(({ isHalf }) => isHalf)) {
    it.options = { rate: Math.round((await findSaturation(baseline, it.server)) / 2) };
  }
}

function describe({ rate }, cases) {
  const halves = cases.filter(({ isHalf }) => isHalf);
  const rates = halves.map(({ name, options }) => `${name}: ${formatNumber(options.rate)}/s`);
  const lines = [`${rate} connections a second, each from its own moment on`, ...rates];
  return `${lines.join('\n')}${halves.length > 0 ? `\nhalf: of what ${BASELINE} serves at most` : ''}`;
}

module.exports = serverScenario({
  summary: 'how long a connection takes at fixed rates, HTTP (Connection: close) and TCP',
  defaults: { rounds: '9', seconds: '2', rate: '1000' },
  quick: { rounds: '3', seconds: '1' },
  casesOf,
  prepare,
  measure: measureLatency,
  columns: [...PERCENTILES, { key: 'max', title: 'max ms', digits: 2, hasRatio: false }],
  describe,
});

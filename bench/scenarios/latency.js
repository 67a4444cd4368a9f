'use strict';

// How long a connection takes at a rate that every opponent can serve, and at half of what the baseline can.

const { MARK, watchOthers } = require('../lib/disturbance.js');
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
    const find = async () => ({ most: await findSaturation(baseline, it.server) });
    const { most, disturbed } = await watchOthers(find);
    it.options = { rate: Math.round(most / 2) };
    it.isDoubtful = disturbed;
  }
}

/** The rates of the cases that run at half of saturation, as `HTTP, half of saturation, 2 workers: 5,100/s`. */
function ratesOf(cases) {
  return cases
    .filter(({ isHalf }) => isHalf)
    .map(
      ({ title, options, isDoubtful }) =>
        `${title}: ${formatNumber(options.rate)}/s${isDoubtful ? MARK : ''}`,
    );
}

function describe({ rate }, cases) {
  const rates = ratesOf(cases);
  const half = rates.length > 0 ? [`half: of what ${BASELINE} serves at most`] : [];
  return [`${rate} connections a second, each from its own moment on`, ...rates, ...half].join(
    '\n',
  );
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
  notes: ({ cases }) => ratesOf(cases),
});

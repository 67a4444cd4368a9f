'use strict';

// How many new connections a second an opponent serves at most.

const { WARM_UP_SECONDS } = require('./cost.js');
const { runLoad } = require('./load.js');
const { startServer } = require('./server.js');
const { median } = require('./statistics.js');

const ROUNDS = 3;
const SECONDS = 1;
const CONCURRENCY = 64;

async function measureRate(opponent, settings) {
  const server = await startServer(opponent, settings);
  try {
    const load = { port: server.port, protocol: settings.protocol };
    const pace = { concurrency: CONCURRENCY };
    await runLoad({ ...load, pace, seconds: WARM_UP_SECONDS });
    const { rate } = await runLoad({ ...load, pace, seconds: SECONDS });
    return rate;
  } finally {
    await server.stop();
  }
}

/** The median of a few short rounds, in connections a second. */
async function findSaturation(opponent, settings) {
  const rates = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.push(await measureRate(opponent, settings));
  }
  return median(rates);
}

module.exports = { findSaturation };

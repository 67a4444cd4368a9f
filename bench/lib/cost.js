'use strict';

// Measures a load, and its cost for a server.

const { cpuOf } = require('./cpu.js');
const { failuresOf, failuresOfWarmUp } = require('./failures.js');

const WARM_UP_SECONDS = 1;

function readCpu({ primary, workers }) {
  return { primary: cpuOf([primary]), workers: cpuOf(workers) };
}

function cpuPerRequest(before, after, requests) {
  if (before === null || requests === 0) return null;
  return (after - before) / requests;
}

/** Runs `load(seconds)`, after a warm-up by the same load; adds the CPU time of each request. */
async function measureCost(server, load, seconds) {
  const warmUp = await load(WARM_UP_SECONDS);
  const before = readCpu(server);
  const loaded = await load(seconds);
  const after = readCpu(server);
  return {
    ...loaded,
    primaryCpu: cpuPerRequest(before.primary, after.primary, loaded.requests),
    workersCpu: cpuPerRequest(before.workers, after.workers, loaded.requests),
    failures: [...failuresOf(loaded), ...failuresOfWarmUp(warmUp)],
  };
}

module.exports = { WARM_UP_SECONDS, measureCost };

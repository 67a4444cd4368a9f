'use strict';

const path = require('node:path');
const { addresses, logsOf } = require('./load');
const { startSupervised } = require('./supervised');
const { startUpgraded } = require('./upgraded');
const { slowdown } = require('../../tools/time-limit');

const PARTS = path.join(__dirname, '../../bench/servers/parts/traffic-worker.js');

/** A program that serves all kinds of servers; `ready` runs when all of them listen. */
const trafficProgram = (ready = '') => `'use strict';
const { worker } = require(process.env.CLUSTER);
const { listening, leave } = require(${JSON.stringify(PARTS)}).startWorker();
worker.on('draining', leave);
listening.then(() => {
  ${ready}
});
`;
const MIN_UPTIME = 200;
// Much longer than it takes, unless the machine is busy, in ms.
const DRAIN_TIMEOUT = 60_000;
// How long a request may wait for its answer on an idle machine, in ms.
const ANSWER_LIMIT = 10_000;
// More connections than a burst has.
const BACKLOG = 4_096;

/** Fewer than in the benchmark, so that the machine is not always busy: other specs run beside these. */
const POST_CLIENTS = 16;

/** How long a request may wait for its answer now, in ms. */
const answerLimit = () => Math.round(ANSWER_LIMIT * slowdown());

/**
 * Starts a supervised program with servers of every kind.
 *
 * @returns the program, with the addresses of its servers, and the files of the ids
 */
async function startTrafficProgram(t, { node, options, ...how } = {}) {
  const { at, servers } = await addresses(t);
  const logs = logsOf(t);
  const app = await startSupervised(t, {
    program: trafficProgram(),
    options: {
      args: [JSON.stringify({ servers, log: logs.server })],
      minUptime: MIN_UPTIME,
      drainTimeout: DRAIN_TIMEOUT,
      // Reloads follow each other faster than workers finish what they have.
      maxGenerations: 100,
      ...options,
    },
    ...(node && { launcher: ['sh', '-c', 'shift; exec "$0" "$@"', node.path] }),
    timeout: 240_000,
    ...how,
  });
  return { app, at, logs };
}

/**
 * The same, but the primary can be upgraded, and its sockets have room for a burst.
 *
 * @param {object} [options] of `startUpgraded()`
 */
async function startUpgradedTraffic(t, { settings, ...how } = {}) {
  const { at, servers } = await addresses(t);
  const logs = logsOf(t);
  const wide = servers.map(({ kind, listen }) => ({
    kind,
    listen: { ...listen, backlog: BACKLOG },
  }));
  const app = await startUpgraded(t, {
    program: trafficProgram(),
    settings: {
      args: [JSON.stringify({ servers: wide, log: logs.server })],
      minUptime: MIN_UPTIME,
      drainTimeout: DRAIN_TIMEOUT,
      ...settings,
    },
    timeout: 240_000,
    ...how,
  });
  return { app, at, logs };
}

module.exports = {
  POST_CLIENTS,
  answerLimit,
  startTrafficProgram,
  startUpgradedTraffic,
  trafficProgram,
};

'use strict';

// A primary of node:cluster, which lets its workers finish before it ends on SIGTERM. Its argument has the number of
// `workers`, their `servers` (see traffic-worker.js), and the `timeout` of a worker.

const cluster = require('node:cluster');
const { WAYS, forkListening } = require('./replace-workers.js');

const { workers, timeout, ...rest } = JSON.parse(process.argv[2]);

async function end() {
  const all = Object.values(cluster.workers);
  await Promise.all(all.map((worker) => WAYS.disconnect(worker, timeout)));
  process.exit();
}

async function main() {
  cluster.setupPrimary({
    exec: require.resolve('./cluster-worker.js'),
    args: [JSON.stringify(rest)],
  });
  process.on('SIGTERM', end);
  const forked = Array.from({ length: workers }, () => forkListening(cluster, rest.servers.length));
  await Promise.all(forked);
  process.stdout.write('{"listening":true}\n');
}

main();

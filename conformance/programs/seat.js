'use strict';

// Tells whether the engine is in the seat of node:cluster, in a primary and in its worker.

const cluster = require('node:cluster');
const engine = require('../..');

// To require the engine gives whatever is in the seat, in a worker even Node's own module. But only
// the engine's workers still have the alias of v0.11.
const isTaken = cluster === engine && 'suicide' in cluster.Worker.prototype;

if (cluster.isPrimary) {
  const seen = { primary: isTaken, worker: false };
  cluster.fork().once('message', (worker) => {
    seen.worker = worker;
    cluster.disconnect();
  });
  process.once('exit', () => process.stdout.write(`${JSON.stringify(seen)}\n`));
} else {
  process.send(isTaken);
}

'use strict';

// Reports whether the engine replaces node:cluster, in a primary and in its worker.

const cluster = require('node:cluster');
const engine = require('../..');

// Requiring the engine may return Node's own module in a worker that was not replaced. But only the
// engine's workers still have the alias of v0.11.
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

'use strict';

// Reports whether the engine replaces node:cluster, in a primary and in its worker.

const cluster = require('node:cluster');
const engine = require('../..');

// Where the built-in module was not replaced, requiring the engine may return that module in a worker. But
// only the engine's workers still have the alias of v0.11.
const isEngine = cluster === engine && 'suicide' in cluster.Worker.prototype;

if (cluster.isPrimary) {
  const seen = { primary: isEngine, worker: false };
  cluster.fork().once('message', (worker) => {
    seen.worker = worker;
    cluster.disconnect();
  });
  process.once('exit', () => process.stdout.write(`${JSON.stringify(seen)}\n`));
} else {
  process.send(isEngine);
}

'use strict';

// The program under test: an HTTP server on several workers, started and stopped by its user.

const { once } = require('node:events');
const path = require('node:path');
const cluster = require('rs-cluster');

const exec = path.join(__dirname, 'web.worker.js');

/** Starts a worker, and another when it crashes, unless it has never listened. */
function fork() {
  const worker = cluster.fork();
  worker.once('listening', () => {
    worker.once('exit', () => worker.exitedAfterDisconnect || fork());
  });
  return worker;
}

/** Resolves to the port when all workers listen. */
async function start(count) {
  cluster.setupPrimary({ exec });
  const workers = Array.from({ length: count }, fork);
  const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  return port;
}

/** Resolves when all workers have gone. */
async function stop() {
  const exits = Object.values(cluster.workers).map((worker) => once(worker, 'exit'));
  cluster.disconnect();
  await Promise.all(exits);
}

module.exports = { start, stop };

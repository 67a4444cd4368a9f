'use strict';

// The program under test: an HTTP server on several workers, started and stopped by its user.

const { once } = require('node:events');
const path = require('node:path');
const cluster = require('rs-cluster');

const exec = path.join(__dirname, 'web.worker.js');

/** Resolves to the port when all workers listen. */
function start(count) {
  cluster.setupPrimary({ exec });
  return new Promise((resolve) => {
    let listening = 0;
    cluster.on('listening', (worker, { port }) => {
      worker.once('exit', () => worker.exitedAfterDisconnect || cluster.fork());
      listening += 1;
      if (listening === count) resolve(port);
    });
    for (let i = 0; i < count; i++) cluster.fork();
  });
}

/** Resolves when all workers have gone. */
async function stop() {
  const exits = Object.values(cluster.workers).map((worker) => once(worker, 'exit'));
  cluster.disconnect();
  await Promise.all(exits);
  cluster.removeAllListeners('listening');
}

module.exports = { start, stop };

'use strict';

// throng, whose package is at $THRONG. It starts a worker for each that leaves, so a worker is replaced by
// SIGTERM. Its argument has the number of `workers`, their `servers` (see parts/traffic-worker.js), and the
// `timeout` of a worker.

const cluster = require('node:cluster');
const { once } = require('node:events');
const { obey } = require('./parts/obey.js');
const throng = require(process.env.THRONG);

const { workers: count, timeout, until, ...rest } = JSON.parse(process.argv[2]);
const servers = rest.servers.length;

/** Resolves when so many workers more have begun to listen everywhere. */
function untilListening(workers) {
  let left = workers * servers;
  return new Promise((resolve) => {
    const listening = () => {
      left -= 1;
      if (left > 0) return;
      cluster.off('listening', listening);
      resolve();
    };
    cluster.on('listening', listening);
  });
}

async function endInTime(worker) {
  const timer = setTimeout(() => worker.process.kill('SIGKILL'), timeout);
  await once(worker, 'exit');
  clearTimeout(timer);
}

async function replace() {
  const started = Date.now();
  const workers = Object.values(cluster.workers);
  const ended = [];
  for (const worker of workers) {
    const replaced = untilListening(1);
    ended.push(endInTime(worker));
    worker.process.kill('SIGTERM');
    await replaced;
  }
  if (until !== 'listening') await Promise.all(ended);
  return { replaced: workers.length, ms: Date.now() - started };
}

async function master() {
  const end = () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    process.exit();
  };
  const listening = untilListening(count);
  const tell = obey(replace, end);
  listening.then(() => tell({ listening: count }));
}

function worker(_id, disconnect) {
  const { startWorker } = require('./parts/traffic-worker.js');
  const { leave } = startWorker();
  process.once('SIGTERM', () => {
    leave();
    disconnect();
  });
}

// obey() ends the primary.
throng({ count, grace: timeout, signals: [], master, worker });

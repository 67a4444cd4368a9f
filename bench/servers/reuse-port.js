'use strict';

// Without a cluster: processes that share only the number of a port. The first one picks it, and the others
// use it. This process starts them and then has nothing to do.

const { fork } = require('node:child_process');
const { announce, endWithBenchmark, failOnExit } = require('./parts/lifetime.js');

const { workers: count, ...settings } = JSON.parse(process.argv[2]);
const workers = [];

function start(port, listening) {
  const listen = { host: '127.0.0.1', port, reusePort: true };
  const worker = fork(
    require.resolve('./parts/worker.js'),
    [JSON.stringify({ ...settings, listen })],
    {
      env: { ...process.env, BENCH_WORKER: workers.length },
    },
  );
  worker.on('exit', (code, signal) => failOnExit(() => workers, worker.pid, code, signal));
  worker.on('message', listening);
  workers.push(worker);
}

function startNext({ port }) {
  if (workers.length < count) start(port, startNext);
  else announce(port, workers);
}

endWithBenchmark(() => workers);
startNext({ port: 0 });

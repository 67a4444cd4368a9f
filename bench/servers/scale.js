'use strict';

// Serves HTTP at many sizes: with many workers, listeners or open connections. The program of rs-cluster is
// supervised, with its defaults. The argument has the number of `workers` and of `listeners`. A request
// `{"stats":COUNT}` on stdin is answered by how long a call of `stats()` takes, in microseconds, or by null
// where there is no such function.

const cluster = require(process.env.RS_CLUSTER ?? 'node:cluster');
const { failOnExit } = require('./parts/lifetime.js');
const { obey } = require('./parts/obey.js');

const { workers, listeners } = JSON.parse(process.argv[2]);
const exec = require.resolve('./parts/scale-worker.js');
const args = [JSON.stringify({ listeners })];
const processes = () => Object.values(cluster.workers).map((worker) => worker.process);
const listening = new Set();

function end() {
  for (const worker of processes()) worker.kill('SIGKILL');
  process.exit();
}

function timeOfStats(count) {
  const times = Array.from({ length: count }, () => {
    const begun = performance.now();
    cluster.stats();
    return performance.now() - begun;
  });
  return times.sort((a, b) => a - b)[count >> 1] * 1000;
}

const tell = obey(({ stats }) => ({ stats: cluster.stats ? timeOfStats(stats) : null }), end);

cluster.on('message', (worker, { ports }) => {
  if (listening.add(worker.id).size < workers) return;
  const [port, ...furtherPorts] = ports;
  tell({ port, furtherPorts, workers: processes().map(({ pid }) => pid) });
});
cluster.on('exit', (worker, code, signal) => {
  failOnExit(processes, worker.process.pid, code, signal);
});
if (cluster.supervise) {
  cluster.supervise({ exec, args, workers, control: false, signals: false });
} else {
  cluster.setupPrimary({ exec, args });
  for (let i = 0; i < workers; i += 1) cluster.fork();
}

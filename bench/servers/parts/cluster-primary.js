'use strict';

const { announce, endWithBenchmark, failOnExit } = require('./lifetime.js');

/** Serves HTTP with the cluster module given, under the given policy. */
function serve(cluster, schedulingPolicy) {
  const count = Number(process.argv[2]);
  const listening = new Set();
  const processes = () => Object.values(cluster.workers).map((worker) => worker.process);

  cluster.schedulingPolicy = schedulingPolicy;
  cluster.setupPrimary({
    exec: require.resolve('./http-worker.js'),
    args: [JSON.stringify({ host: '127.0.0.1', port: 0 })],
  });
  cluster.on('listening', (worker, { port }) => {
    if (listening.add(worker.id).size === count) announce(port, processes());
  });
  cluster.on('exit', (worker, code, signal) => {
    failOnExit(processes, worker.process.pid, code, signal);
  });
  endWithBenchmark(processes);
  for (let i = 0; i < count; i++) cluster.fork();
}

module.exports = { serve };

'use strict';

const { announce, endWithBenchmark, failOnExit } = require('./lifetime.js');

/** Serves with the given cluster module, under the given policy. */
function serve(cluster, schedulingPolicy, port = 0) {
  const { workers: count, ...settings } = JSON.parse(process.argv[2]);
  const listening = new Set();
  const processes = () => Object.values(cluster.workers).map((worker) => worker.process);

  cluster.schedulingPolicy = schedulingPolicy;
  cluster.setupPrimary({
    exec: require.resolve('./worker.js'),
    args: [JSON.stringify({ ...settings, listen: { host: '127.0.0.1', port } })],
  });
  cluster.on('listening', (worker, address) => {
    if (listening.add(worker.id).size === count) announce(address.port, processes());
  });
  cluster.on('exit', (worker, code, signal) => {
    failOnExit(processes, worker.process.pid, code, signal);
  });
  endWithBenchmark(processes);
  for (let i = 0; i < count; i++) cluster.fork({ BENCH_WORKER: i });
}

module.exports = { serve };

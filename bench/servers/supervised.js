'use strict';

// A supervised program of rs-cluster with an admin endpoint. Its argument has the number of `workers`. It can
// block its JavaScript and that of the workers, by the request of parts/lifetime.js.

const { once } = require('node:events');
const cluster = require(process.env.RS_CLUSTER);
const { announce, endWithBenchmark, failOnExit } = require('./parts/lifetime.js');

const { workers } = JSON.parse(process.argv[2]);
const processes = () => Object.values(cluster.workers).map((worker) => worker.process);

/** Lets every worker block its event loop; resolves when each is about to. */
function blockWorkers(blockMs) {
  const blocked = Object.values(cluster.workers).map((worker) => {
    worker.send({ blockMs });
    return once(worker, 'message');
  });
  return Promise.all(blocked);
}

async function main() {
  let port;
  cluster.on('listening', (_worker, address) => {
    port = address.port;
  });
  const supervisor = cluster.supervise({
    exec: require.resolve('./parts/worker.js'),
    args: [JSON.stringify({ protocol: 'http', listen: { host: '127.0.0.1', port: 0 } })],
    workers,
    admin: 0,
    control: false,
    hungTimeout: 0,
    signals: false,
  });
  await supervisor.ready();
  cluster.on('exit', ({ process: { pid } }, code, signal) => {
    failOnExit(processes, pid, code, signal);
  });
  endWithBenchmark(processes, blockWorkers);
  announce(port, processes(), { admin: supervisor.status().admin });
}

main();

'use strict';

// A supervised program of rs-cluster, and its `reload()`. Its argument has the number of `workers`, their
// `servers` (see parts/traffic-worker.js), and the `timeout` of a worker.

const cluster = require(process.env.RS_CLUSTER);
const { obey } = require('./parts/obey.js');

const { workers, timeout, until, ...rest } = JSON.parse(process.argv[2]);

async function main() {
  const supervisor = cluster.supervise({
    exec: require.resolve('./parts/cluster-worker.js'),
    args: [JSON.stringify(rest)],
    workers,
    drainTimeout: timeout,
    signals: false,
  });
  const reload = async () => {
    const started = Date.now();
    await supervisor.reload();
    return { replaced: workers, ms: Date.now() - started };
  };
  const end = () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    process.exit();
  };
  const tell = obey(reload, end);
  await supervisor.ready();
  tell({ listening: workers });
}

main();

'use strict';

// A cluster whose workers are replaced on request. Its argument has the number of `workers`, their
// `servers` (see parts/traffic-worker.js), and how workers leave: see parts/replace-workers.js.

const cluster = require(process.env.RS_CLUSTER ?? 'node:cluster');
const { obey } = require('./parts/obey.js');
const { forkListening, replaceWorkers } = require('./parts/replace-workers.js');

const { workers, way, timeout, until, policy = 'SCHED_RR', ...rest } = JSON.parse(process.argv[2]);
const servers = rest.servers.length;

async function main() {
  cluster.schedulingPolicy = cluster[policy];
  cluster.setupPrimary({
    exec: require.resolve('./parts/cluster-worker.js'),
    args: [JSON.stringify(rest)],
  });
  const end = () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    process.exit();
  };
  const tell = obey(() => replaceWorkers(cluster, { way, timeout, servers, until }), end);
  for (let i = 0; i < workers; i += 1) await forkListening(cluster, servers);
  tell({ listening: workers });
}

main();

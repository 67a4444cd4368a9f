// A user's program in CommonJS. `npm run lint` compiles it, but does not run it.
import type { Cluster as NodeCluster } from 'node:cluster';

import http = require('node:http');
import cluster = require('rs-cluster');

const settings: cluster.ClusterSettings = { killMode: 'immediate', killTimeout: 10, silent: true };
if (cluster.isPrimary) {
  cluster.setupPrimary(settings);
  const worker: cluster.Worker = cluster.fork({ GREETING: 'hello' });
  worker.on('listening', (address: cluster.Address) => console.log(address.port));
  worker.pause().resume();
  const isPaused: boolean | undefined = cluster.workers?.[1]?.isPaused();
  console.log(isPaused);
  worker.send({ any: 'thing' }, (error: Error | null) => console.log(error));
  cluster.on('exit', (gone, code, signal) => console.log(gone.id, code.toFixed(), signal));
  cluster
    .once('online', (online) => online.pause())
    .on('listening', (it, { port }) => it.send(port));
  cluster.prependListener('setup', ({ queueTimeout }) => console.log(queueTimeout));
  cluster.on('message', (sender, message, handle) => sender.send(message, handle));
  cluster.on('any other', (one: number, other: string) => console.log(one, other));
  const nodeCluster: NodeCluster = cluster;
  nodeCluster.on('exit', (gone) => console.log(gone.process.pid));
  // @ts-expect-error
  cluster.on('online', (online) => online.paws());
  cluster.disconnect(() => console.log(cluster.settings.killMode));
  const { listeners, workers }: cluster.Stats = cluster.stats();
  console.log(listeners[0]?.handoverTimes.length, workers[1]?.open);
  // @ts-expect-error
  cluster.setupPrimary({ killMode: 'brutal' });
} else {
  http.createServer((_request, response) => response.end(`${cluster.worker?.id}`)).listen(8000);
}

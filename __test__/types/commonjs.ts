// What a user writes in CommonJS. Compiled, not run: `npm run lint`.
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
  cluster.disconnect(() => console.log(cluster.settings.killMode));
  const { listeners, workers }: cluster.Stats = cluster.stats();
  console.log(listeners[0]?.handoverTimes.length, workers[1]?.open);
  // @ts-expect-error
  cluster.setupPrimary({ killMode: 'brutal' });
} else {
  http.createServer((_request, response) => response.end(`${cluster.worker?.id}`)).listen(8000);
}

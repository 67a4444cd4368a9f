// A clustered HTTP server in TypeScript.
//
//   npx tsc --project examples/typescript && node examples/typescript/dist/server.js

import * as http from 'node:http';
import { availableParallelism } from 'node:os';
import cluster, { type Address, type Stats, type Worker } from 'rs-cluster';

function startPrimary(): void {
  cluster.setupPrimary({ killMode: 'graceful', killTimeout: 2000 });
  for (let i = 0; i < availableParallelism(); i++) cluster.fork();
  cluster.on('listening', ({ id }: Worker, { port }: Address) => {
    console.log(`Worker ${id} serves port ${port}`);
  });
  process.once('SIGTERM', () => {
    const { listeners }: Stats = cluster.stats();
    for (const { address, accepted } of listeners) console.log(`${address}: ${accepted} accepted`);
    for (const worker of Object.values(cluster.workers ?? {})) worker?.kill();
  });
}

function startWorker({ id }: Worker): void {
  http
    .createServer((_request, response) => response.end(`Hello from worker ${id}\n`))
    .listen(process.env.PORT ?? 8000);
}

if (cluster.worker) startWorker(cluster.worker);
else startPrimary();

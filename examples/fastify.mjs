// A Fastify application on every core, as an ES module: every name can be imported in every role.
//
//   node examples/fastify.mjs            PORT=0 node examples/fastify.mjs

import { availableParallelism } from 'node:os';
import fastify from 'fastify';
import cluster, { disconnect, fork, isPrimary, worker } from 'rs-cluster';

async function serve() {
  const app = fastify();
  app.get('/', async () => `Hello from worker ${worker.id}\n`);
  await app.listen({ port: Number(process.env.PORT ?? 8000), host: '0.0.0.0' });
}

function forkAll() {
  for (let i = 0; i < availableParallelism(); i++) fork();
  cluster.on('listening', ({ id }, { port }) => console.log(`Worker ${id} serves port ${port}`));
  process.once('SIGTERM', () => disconnect());
}

if (isPrimary) forkAll();
else await serve();

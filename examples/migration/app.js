'use strict';

// A program that knows node:cluster only. Nothing in it changes:
//
//   node examples/migration/app.js
//   node --require rs-cluster/register examples/migration/app.js
//   node --import rs-cluster/register examples/migration/app.js

const cluster = require('node:cluster');
const http = require('node:http');

if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
  cluster.on('listening', ({ id }, { port }) => console.log(`Worker ${id} serves port ${port}`));
  cluster.on('exit', ({ id }, code) => console.log(`Worker ${id} has ended with ${code}`));
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  http
    .createServer((_request, response) => response.end(`Hello from worker ${cluster.worker.id}\n`))
    .listen(process.env.PORT ?? 8000);
}

'use strict';

// An Express application on every core.
//
//   node examples/express.js            PORT=0 node examples/express.js

const os = require('node:os');
const express = require('express');
const cluster = require('rs-cluster');

if (cluster.isPrimary) {
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();
  cluster.on('listening', (worker, { port }) => {
    console.log(`Worker ${worker.id} is listening on port ${port}`);
    worker.once('exit', () => worker.exitedAfterDisconnect || cluster.fork());
  });
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const app = express();
  app.get('/', (_request, response) => {
    response.send(`Hello from worker ${cluster.worker.id}\n`);
  });
  app.listen(process.env.PORT ?? 8000, (error) => {
    if (error) throw error;
  });
}

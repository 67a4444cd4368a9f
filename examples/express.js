'use strict';

// An Express application on every core.
//
//   node examples/express.js            PORT=0 node examples/express.js

const os = require('node:os');
const express = require('express');
const cluster = require('rs-cluster');

function start() {
  const worker = cluster.fork();
  // One that has never listened would only fail again.
  worker.once('listening', ({ port }) => {
    console.log(`Worker ${worker.id} is listening on port ${port}`);
    worker.once('exit', () => worker.exitedAfterDisconnect || start());
  });
}

if (cluster.isPrimary) {
  for (let i = 0; i < os.availableParallelism(); i++) start();
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

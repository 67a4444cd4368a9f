'use strict';

// An Express application on every core.

const os = require('node:os');
const express = require('express');
const cluster = require('rs-cluster');

const PORT = Number(process.env.PORT || 8000);

if (cluster.isPrimary) {
  const count = Math.max(2, os.availableParallelism());
  const listening = new Set();
  cluster.on('listening', (worker, { port }) => {
    console.log(`Worker ${worker.id} (pid ${worker.process.pid}) is listening`);
    if (listening.add(worker.id).size === count) console.log(`Open http://127.0.0.1:${port}/`);
  });
  cluster.on('exit', (worker, code) => {
    const crashed = code !== 0 && !worker.exitedAfterDisconnect;
    if (crashed && listening.has(worker.id)) cluster.fork();
    else if (crashed) process.exitCode = 1; // it has never listened, and the next one would not
  });
  cluster.on('message', (_worker, { failure }) => {
    console.error(failure);
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit(1);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => cluster.disconnect());
  for (let i = 0; i < count; i++) cluster.fork();
} else {
  const app = express();
  app.get('/', (_request, response) => {
    response.send(`Hello from worker ${cluster.worker.id} (pid ${process.pid})\n`);
  });
  app.listen(PORT, (error) => {
    if (error) process.send({ failure: `Cannot listen on port ${PORT}: ${error.code}` });
  });
  process.on('SIGINT', () => {}); // Ctrl-C reaches workers too; the primary ends them in order
}

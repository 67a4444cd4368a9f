'use strict';

// An HTTP server on every core, as in Node's documentation of `cluster`.
//
//   node examples/http.js            PORT=0 node examples/http.js

const http = require('node:http');
const os = require('node:os');
const cluster = require('rs-cluster');

const PORT = Number(process.env.PORT || 8000);

function startPrimary() {
  const count = Math.max(2, os.availableParallelism());
  const listening = new Set();

  cluster.on('listening', (worker, { port }) => {
    console.log(`Worker ${worker.id} (pid ${worker.process.pid}) is listening`);
    // Later ones replace a crashed worker: then the set has grown beyond the count.
    if (listening.add(worker.id).size === count) console.log(`Open http://127.0.0.1:${port}/`);
  });

  cluster.on('exit', (worker, code, signal) => {
    if (worker.exitedAfterDisconnect || code === 0) return; // it meant to
    console.error(`Worker ${worker.id} crashed (${signal || `exit code ${code}`})`);
    // One that has never listened would only crash again, for ever.
    if (listening.has(worker.id)) cluster.fork();
    else process.exitCode = 1;
  });

  // All workers fail alike when the port is taken; the first one to say so is enough.
  cluster.on('message', (_worker, { failure }) => {
    console.error(failure);
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit(1);
  });

  // Workers stop listening, answer what they have begun, and end; then so does the primary.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => cluster.disconnect());

  for (let i = 0; i < count; i++) cluster.fork();
}

function startWorker() {
  const server = http.createServer((_request, response) => {
    response.end(`Hello from worker ${cluster.worker.id} (pid ${process.pid})\n`);
  });
  server.on('error', ({ code }) => {
    process.send({ failure: `Cannot listen on port ${PORT} (${code}): set PORT to another one` });
  });
  server.listen(PORT);

  // Ctrl-C goes to the workers too, but it is the primary that tells them when to end.
  process.on('SIGINT', () => {});
}

if (cluster.isPrimary) startPrimary();
else startWorker();

'use strict';

// A server whose workers are replaced, and stopped, without losing a request.
//
//   node examples/replace-workers.js
//   kill -HUP <pid>     replaces the workers, one after the other
//   kill <pid>          lets them answer what they have begun, and ends

const { once } = require('node:events');
const http = require('node:http');
const os = require('node:os');
const cluster = require('rs-cluster');

const DRAIN_TIMEOUT = 20_000;

let isEnding = false;

function fork() {
  const worker = cluster.fork();
  worker.once('listening', ({ port }) => {
    console.log(`Worker ${worker.id} (pid ${worker.process.pid}) is listening on port ${port}`);
    worker.once('exit', () => {
      if (!worker.isDraining()) fork(); // it crashed
    });
  });
  return worker;
}

function startPrimary() {
  for (let i = 0; i < os.availableParallelism(); i++) fork();

  let replacements = Promise.resolve();
  process.on('SIGHUP', () => {
    // The old workers stay if new ones do not start.
    replacements = replacements.then(replaceAll).catch(({ message }) => console.error(message));
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
}

function stop() {
  isEnding = true;
  for (const worker of Object.values(cluster.workers)) {
    // No worker is left to take idle connections.
    drain(worker, { reason: 'stop', handOverIdle: false });
  }
}

async function replaceAll() {
  for (const worker of Object.values(cluster.workers)) {
    if (isEnding) return;
    if (worker.isDead()) continue; // it has crashed, and been replaced
    const successor = fork();
    await Promise.race([once(successor, 'listening'), once(successor, 'exit')]);
    if (isEnding) return;
    if (successor.isDead()) throw new Error('The new workers do not start: the old ones stay');
    await drain(worker, { reason: 'replace' });
  }
  console.log('All workers are new');
}

async function drain(worker, options) {
  const { cut } = await worker.drain({ timeout: DRAIN_TIMEOUT, ...options });
  if (cut > 0) console.error(`Worker ${worker.id} has cut off ${cut} connections`);
}

function startWorker() {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      response.end(`Hello from worker ${cluster.worker.id}\n`);
    });
  });
  server.listen(process.env.PORT ?? 8000);

  // Ctrl-C goes to the workers too, but it is the primary that tells them when to end.
  process.on('SIGINT', () => {});
}

if (cluster.isPrimary) startPrimary();
else startWorker();

'use strict';

// A server that is restarted, and stopped, without losing a request.
//
//   node examples/graceful.js
//   kill -HUP <pid>     replaces the workers, one after the other
//   kill <pid>          has them answer what they have begun, and ends

const { once } = require('node:events');
const http = require('node:http');
const os = require('node:os');
const cluster = require('rs-cluster');

let isEnding = false;

function fork() {
  const worker = cluster.fork();
  worker.once('listening', ({ port }) => {
    console.log(`Worker ${worker.id} (pid ${worker.process.pid}) is listening on port ${port}`);
    worker.once('exit', () => {
      const isReplaced = worker.exitedAfterDisconnect || worker.isPaused();
      if (!isReplaced) fork(); // it crashed
    });
  });
  return worker;
}

function startPrimary() {
  for (let i = 0; i < os.availableParallelism(); i++) fork();

  let restarts = Promise.resolve();
  process.on('SIGHUP', () => {
    // The old workers stay.
    restarts = restarts.then(restart).catch(({ message }) => console.error(message));
  });
  process.once('SIGTERM', () => {
    isEnding = true;
    cluster.disconnect();
  });
}

async function restart() {
  for (const worker of Object.values(cluster.workers)) {
    if (isEnding) return;
    const successor = fork();
    await Promise.race([once(successor, 'listening'), once(successor, 'exit')]);
    if (isEnding) return;
    if (successor.isDead()) throw new Error('The new workers do not start: the old ones stay');
    if (!worker.isConnected()) continue; // it has crashed, and been replaced
    worker.pause().send('leave'); // new connections go to others from now on
    await once(worker, 'exit');
  }
  console.log('All workers are new');
}

function startWorker() {
  let connections = 0;
  let isLeaving = false;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      // Tells the client to send no more this way, rather than closing while it sends.
      if (isLeaving || !server.listening) response.setHeader('Connection', 'close');
      response.end(`Hello from worker ${cluster.worker.id}\n`);
    });
  });
  const leaveIfIdle = () => isLeaving && connections === 0 && cluster.worker.disconnect();
  server.on('connection', (socket) => {
    connections += 1;
    socket.once('close', () => {
      connections -= 1;
      leaveIfIdle();
    });
  });
  // Connections that carry no more requests end by `server.keepAliveTimeout`.
  process.once('message', () => {
    isLeaving = true;
    leaveIfIdle();
  });
  server.listen(process.env.PORT ?? 8000);
}

if (cluster.isPrimary) startPrimary();
else startWorker();

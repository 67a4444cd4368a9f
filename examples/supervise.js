'use strict';

// An HTTP server that is kept running, and replaced by a new version without losing a request.
//
//   node examples/supervise.js
//   kill -HUP <pid>     reloads: new workers run this file as it is then
//   kill -TTIN <pid>    one worker more; kill -TTOU <pid>: one less
//   kill <pid>          lets the workers answer what they have begun, and ends
//
// What the primary logs are the events of the supervisor; it works without listeners, too.

const http = require('node:http');
const cluster = require('rs-cluster');

function startPrimary() {
  const supervisor = cluster.supervise({ drainTimeout: 20_000, maxMemory: '512M' });
  cluster.on('listening', ({ id, process: { pid } }, { port }) => {
    console.log(`Worker ${id} (pid ${pid}) is listening on port ${port}`);
  });
  supervisor
    .on('ready', () => console.log(`Ready. My pid is ${process.pid}`))
    .on('reload', ({ generation, ms }) => {
      console.log(`Generation ${generation} serves after ${ms} ms`);
    })
    .on('replace', ({ slot, from, to, reason }) => {
      if (from !== null) console.log(`Slot ${slot}: worker ${from} -> ${to} (${reason})`);
    })
    .on('backoff', ({ slot, delay, failures }) => {
      console.error(`Slot ${slot}: failure ${failures}, next try in ${delay} ms`);
    })
    .on('hung', ({ worker, ms, stack }) => {
      console.error(`Worker ${worker.id} has been hung for ${ms} ms\n${stack}`);
    })
    .on('cut', ({ worker, connections }) => {
      console.error(`Worker ${worker.id} has cut off ${connections} connections`);
    })
    .on('stopped', () => console.log('Stopped'));
}

function startWorker() {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      response.end(`Hello from worker ${cluster.worker.id}\n`);
    });
  });
  server.listen(process.env.PORT ?? 8000);
}

if (cluster.isPrimary) startPrimary();
else startWorker();

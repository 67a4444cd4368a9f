'use strict';

// An HTTP/2 server on every core, for clients of HTTP/1 too. A connection carries many requests and
// lasts, so the next one goes to the worker that has the fewest.
//
//   KEY=key.pem CERT=cert.pem node examples/http2.js

const { readFileSync } = require('node:fs');
const http2 = require('node:http2');
const os = require('node:os');
const cluster = require('rs-cluster');

const { KEY, CERT, PORT = 8443 } = process.env;

if (cluster.isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_LEAST_CONNECTIONS;
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();
  cluster.on('listening', ({ id }, { port }) => console.log(`Worker ${id} serves port ${port}`));
  process.once('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.send('goodbye');
    cluster.disconnect();
  });
} else {
  const secure = { key: readFileSync(KEY), cert: readFileSync(CERT), allowHTTP1: true };
  const server = http2.createSecureServer(secure, ({ httpVersion }, response) => {
    response.end(`Hello by HTTP/${httpVersion} from worker ${cluster.worker.id}\n`);
  });
  const sessions = new Set();
  let isLeaving = false;
  server.on('session', (session) => {
    sessions.add(session);
    if (isLeaving) session.close(); // its handshake has taken until now
    session.once('close', () => sessions.delete(session));
  });
  // A server that closes waits for its sessions; these end when all that was asked is answered.
  process.once('message', () => {
    isLeaving = true;
    for (const session of sessions) session.close();
  });
  server.listen(PORT);
}

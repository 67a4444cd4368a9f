'use strict';

// An HTTPS server on every core: each worker does its share of the handshakes, and resumes
// the sessions of all.
//
//   KEY=key.pem CERT=cert.pem node examples/https.js
//
// For a try: openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem

const { readFileSync } = require('node:fs');
const https = require('node:https');
const os = require('node:os');
const cluster = require('rs-cluster');

const { KEY, CERT, PORT = 8443 } = process.env;

if (cluster.isPrimary) {
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();
  cluster.on('listening', ({ id }, { port }) => console.log(`Worker ${id} serves port ${port}`));
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const secure = { key: readFileSync(KEY), cert: readFileSync(CERT) };
  https
    .createServer(secure, (_request, response) => {
      response.end(`Hello from worker ${cluster.worker.id}\n`);
    })
    .listen(PORT);
}

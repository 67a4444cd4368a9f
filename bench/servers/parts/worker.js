'use strict';

// The same worker for every opponent: the least that a server can do, so that the difference is in
// how it came by the connection. The argument says what to listen on, and what troubles the worker.

const http = require('node:http');
const net = require('node:net');
const { slowTurns, stallNowAndThen } = require('./trouble.js');

const { listen, protocol, turnMs, stall } = JSON.parse(process.argv[2]);

const SERVERS = {
  http: () => http.createServer((_request, response) => response.end('ok\n')),
  tcp: () =>
    net.createServer((socket) => {
      socket.on('error', () => {}); // cut off at the end of a measurement
      socket.end('ok\n');
    }),
};

// Those of a cluster end with their primary anyway; the independent ones have to be told.
process.on('disconnect', () => process.exit());

const server = SERVERS[protocol]();
server.listen(listen, () => {
  // An object without a `cmd` means nothing to any cluster.
  process.send({ port: server.address().port });
  if (turnMs) slowTurns(turnMs);
  if (stall && process.env.BENCH_WORKER === '0') stallNowAndThen(stall);
});

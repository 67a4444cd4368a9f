'use strict';

// The worker is the same for every opponent and does as little as a server can, so that the opponents
// differ only in how it gets a connection. The argument says what to listen on, and what troubles the
// worker.

const http = require('node:http');
const net = require('node:net');
const { block, slowTurns, stallNowAndThen } = require('./trouble.js');

const { listen, protocol, turnMs, stall } = JSON.parse(process.argv[2]);

const SERVERS = {
  http: () => http.createServer((_request, response) => response.end('ok\n')),
  tcp: () =>
    net.createServer((socket) => {
      socket.on('error', () => {}); // cut off at the end of a measurement
      socket.end('ok\n');
    }),
};

// Workers of a cluster end with their primary anyway; independent ones need this listener.
process.on('disconnect', () => process.exit());

process.on('message', ({ blockMs }) => {
  if (blockMs) process.send({ blockMs }, () => block(blockMs));
});

const server = SERVERS[protocol]();
server.listen(listen, () => {
  // No cluster module interprets an object without a `cmd`.
  process.send({ port: server.address().port });
  if (turnMs) slowTurns(turnMs);
  if (stall && process.env.BENCH_WORKER === '0') stallNowAndThen(stall);
});

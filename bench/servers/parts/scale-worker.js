'use strict';

// A worker that listens at many ports, and keeps connections open for as long as clients do.

const { once } = require('node:events');
const http = require('node:http');

const { listeners } = JSON.parse(process.argv[2]);

function listen() {
  const server = http.createServer((_request, response) => response.end('ok\n'));
  server.keepAliveTimeout = 0;
  return server.listen(0, '127.0.0.1');
}

async function main() {
  const servers = Array.from({ length: listeners }, listen);
  await Promise.all(servers.map((server) => server.listening || once(server, 'listening')));
  process.send({ ports: servers.map((server) => server.address().port) });
}

process.on('disconnect', () => process.exit());
main();

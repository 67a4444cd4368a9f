'use strict';

// The same worker for every opponent: the least an HTTP server can do, so that the difference is
// in how it came by the connection. The argument is what to listen on.

const http = require('node:http');

const server = http.createServer((_request, response) => {
  response.end('ok\n');
});

// Those of a cluster end with their primary anyway; the independent ones have to be told.
process.on('disconnect', () => process.exit());

server.listen(JSON.parse(process.argv[2]), () => {
  // An object without a `cmd` means nothing to any cluster.
  process.send({ port: server.address().port });
});

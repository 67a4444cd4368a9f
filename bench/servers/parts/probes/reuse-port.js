'use strict';

// Exit code 0 if two sockets can listen on one port. A Node without the option ignores it, and the second
// socket is refused.

const net = require('node:net');

function listen(port, listening) {
  const server = net.createServer();
  server.on('error', () => process.exit(1));
  server.listen({ host: '127.0.0.1', port, reusePort: true }, () => listening(server.address()));
}

listen(0, ({ port }) => listen(port, () => process.exit(0)));

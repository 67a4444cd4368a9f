'use strict';

const { once } = require('node:events');
const net = require('node:net');

// These ports are not assigned by the kernel, from which other tests get theirs.
const FIRST_PORT = 10_000;
const LAST_PORT = 30_000;

let lastPort = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));

/** A free port of this machine that the kernel does not assign either. */
async function freePort() {
  for (;;) {
    lastPort = lastPort < LAST_PORT ? lastPort + 1 : FIRST_PORT;
    // Another call may go on with the next one meanwhile.
    const port = lastPort;
    const server = net.createServer().listen(port);
    try {
      await once(server, 'listening');
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** The lower one of two free ports that are neighbors. */
async function freePortPair() {
  let [port, next] = [await freePort(), await freePort()];
  while (next !== port + 1) [port, next] = [next, await freePort()];
  return port;
}

module.exports = { freePort, freePortPair };

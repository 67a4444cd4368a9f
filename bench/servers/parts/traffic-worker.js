'use strict';

// A worker with servers of several kinds, whose argument says where each listens. It is the same program
// under every module that replaces workers, and does what that module's documentation tells programs to do
// when their worker is about to go.

const { once } = require('node:events');
const { trafficProgram } = require('./traffic.js');

const { servers, log, keepAliveTimeout } = JSON.parse(process.env.TRAFFIC ?? process.argv[2]);

/**
 * Starts the servers, which `listening` waits for. `close()` lets go of them as `server.close()` does; its
 * promise resolves when the last connection has ended.
 */
function startWorker() {
  const program = trafficProgram({ log });
  const started = servers.map(({ kind, listen }) => {
    const server = program.create(kind);
    if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout;
    return server.listen(listen);
  });
  const close = () => {
    program.leave();
    const closed = (server) => new Promise((resolve) => server.close(resolve));
    return Promise.all(started.map(closed));
  };
  const listening = Promise.all(started.map((server) => once(server, 'listening')));
  return { listening, leave: program.leave, close };
}

module.exports = { startWorker };

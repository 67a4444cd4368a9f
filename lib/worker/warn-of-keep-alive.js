'use strict';

const { Protocol, isTls } = require('../node/servers.js');

/** Warns once if TLS servers may keep connections open for longer than the worker has to drain. */
function warnOfKeepAlive(connections, id, timeLeft) {
  const time = Math.round(timeLeft);
  for (const { protocol, http2, server } of connections) {
    const isHttp1 = protocol !== Protocol.OTHER && http2 === null;
    if (!isHttp1 || !outlasts(server, timeLeft)) continue;
    const { keepAliveTimeout } = server;
    const kept = keepAliveTimeout > 0 ? `for ${keepAliveTimeout} ms` : 'without limit';
    const warning =
      `worker ${id} has ${time} ms to drain, but a TLS server of it keeps idle connections open ${kept}: ` +
      "requests may fail that come as it ends. Let 'keepAliveTimeout' be shorter than the time to drain.";
    process.emitWarning(warning, { type: 'DrainWarning', code: 'RS_CLUSTER_KEEP_ALIVE_TIMEOUT' });
    return;
  }
}

function outlasts(server, timeLeft) {
  const { keepAliveTimeout } = server;
  // Servers that do not speak HTTP/1 have none.
  if (!isTls(server) || keepAliveTimeout === undefined) return false;
  return keepAliveTimeout === 0 || keepAliveTimeout >= timeLeft;
}

module.exports = warnOfKeepAlive;

'use strict';

// What Node's servers do for its cluster module, and do not document.

const majorVersion = Number.parseInt(process.versions.node, 10);
// Before that, `maxConnections = 0` means no limit.
const ZERO_IS_A_LIMIT = majorVersion >= 22;

/** Whether another worker should serve the next connection (lib/net.js, onconnection). */
function isFull({ maxConnections, _connections, dropMaxConnection }) {
  const isLimited = ZERO_IS_A_LIMIT ? maxConnections != null : Boolean(maxConnections);
  return isLimited && _connections >= maxConnections && !dropMaxConnection;
}

/**
 * Makes a server ask about its sockets that other processes have, for `getConnections()` and `close()`
 * (lib/net.js; `sent` is like SocketListSend of lib/internal/socket_list.js).
 */
function countSent(server, sent) {
  server._setupWorker(sent);
}

/**
 * What a server offers to those of other workers that share its address: the ticket keys of TLS
 * (lib/_tls_wrap.js).
 */
function getSharedData(server) {
  return server._getServerData?.();
}

/** Takes what another worker's server offers. A server that can't use it goes on without. */
function setSharedData(server, data) {
  try {
    server._setServerData?.(data);
  } catch (error) {
    process.emitWarning(`a worker offers what a server can't use: ${error.message}`);
  }
}

module.exports = { countSent, getSharedData, isFull, setSharedData };

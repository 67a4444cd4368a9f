'use strict';

// Which connections of Node's HTTP/1 servers are idle.

const { now } = require('../real-timers.js');

const DEFAULT_HEADERS_TIMEOUT = 60_000;

/** What Node knows at one moment about the connections of HTTP servers. Valid in the same turn only. */
class IdleSockets {
  /** Sets of sockets, by server; undefined for a server that keeps no list of its connections. */
  #sets = new Map();

  /** Whether the server keeps a list of its connections. */
  knows({ server }) {
    return this.#of(server) !== undefined;
  }

  /** Whether no request is running or has begun to come, though an answer may not have been sent whole. */
  has({ server, outermost }) {
    return this.#of(server)?.has(outermost) === true;
  }

  #of(server) {
    if (!this.#sets.has(server)) this.#sets.set(server, namedBy(server));
    return this.#sets.get(server);
  }
}

/**
 * The sockets that `server.closeIdleConnections()` would close. It is not called for that, because the program
 * may have replaced it (lib/_http_server.js).
 */
function namedBy(server) {
  const symbols = Object.getOwnPropertySymbols(server);
  const name = symbols.find(({ description }) => description === 'http.server.connections');
  if (name === undefined) return undefined;
  const parsers = server[name]?.idle?.() ?? [];
  return new Set(parsers.map(({ socket }) => socket));
}

/** Whether nothing has been received or sent. Since Node 26, Node names such connections too. */
function isFresh({ bytesRead, bytesWritten }) {
  return bytesRead === 0 && bytesWritten === 0;
}

/** Whether Node's parser reads from the socket of the connection. */
function isParsed({ outermost }) {
  return outermost.parser?.socket === outermost;
}

/**
 * Whether another process can take the connection in this turn, and its client does not notice: nothing has
 * been received that was not answered, and nothing is left to be sent.
 */
function isIdle(connection, idleSockets) {
  const { socket, handle } = connection;
  return (
    socket._handle === handle &&
    isParsed(connection) &&
    connection.pending === 0 &&
    !socket._httpMessage &&
    socket.writableLength === 0 &&
    socket.readableLength === 0 &&
    !socket.writableEnded &&
    !socket.readableEnded &&
    !socket.destroyed &&
    !socket.isPaused() &&
    (connection.finishedAt > 0 ? idleSockets.has(connection) : isFresh(socket))
  );
}

/** Whether the beginning of a request has come, and Node's parser waits for the rest of its head. */
function hasPartialHead(connection, idleSockets) {
  const { outermost, pending, unread } = connection;
  if (outermost === undefined || pending > 0 || !isParsed(connection)) return false;
  // What comes is the body of a request that has its answer.
  if (unread !== null || !idleSockets.knows(connection)) return false;
  return outermost.bytesRead > 0 && !idleSockets.has(connection);
}

/**
 * How long the server would keep an idle connection open from now on, in milliseconds; undefined for a
 * connection that it would not close.
 */
function keepAliveLeft({ socket, server, finishedAt }) {
  const { timeout = 0 } = socket;
  if (isFresh(socket)) {
    const { headersTimeout = DEFAULT_HEADERS_TIMEOUT, requestTimeout = 0 } = server;
    const forHead = headersTimeout || requestTimeout || Number.POSITIVE_INFINITY;
    const left = timeout > 0 ? Math.min(timeout, forHead) : forHead;
    return Number.isFinite(left) ? left : undefined;
  }
  return timeout > 0 ? timeout - (now() - finishedAt) : undefined;
}

/** Whether the server counts the requests of each connection. */
function limitsRequests({ maxRequestsPerSocket }) {
  return maxRequestsPerSocket > 0;
}

module.exports = {
  IdleSockets,
  hasPartialHead,
  isIdle,
  isParsed,
  keepAliveLeft,
  limitsRequests,
};

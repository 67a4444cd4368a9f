'use strict';

// Which HTTP/1 requests are running on the connections of this worker: what diagnostics channels tell, and,
// of upgraded connections, Node's HTTP parser.

const { channel } = require('node:diagnostics_channel');

// Kept here, because a channel without references loses its subscribers.
const started = channel('http.server.request.start');
const finished = channel('http.server.response.finish');

// Schemes that authenticate a connection, rather than a request.
const BY_CONNECTION = /^\s*(?:ntlm|negotiate)\b/i;
const OFFERED = /^www-authenticate:.*\b(?:ntlm|negotiate)\b/im;
const UNAUTHORIZED = 401;
const AUTHORIZATION = 'authorization';

/** Keeps the connections up to date from now on. */
function followRequests(connections) {
  started.subscribe(({ request, response, socket }) => {
    const connection = connections.of(socket);
    if (connection === undefined) return;
    if (authenticatesConnection(request)) connection.isPinned = true;
    // A server in front may have passed on the socket later than it was delivered.
    followUpgrades(socket.parser, connections);
    connection.begin(response, socket);
    connections.observer?.onRequest(connection, request, response);
  });
  finished.subscribe(({ request, response, socket }) => {
    const connection = connections.of(socket);
    if (connection === undefined) return;
    if (response.statusCode === UNAUTHORIZED && OFFERED.test(response._header)) {
      connection.isPinned = true;
    }
    connection.finish(request, response);
    connections.observer?.onResponse(connection);
  });
}

/** Calls back for each request from now on. */
function countRequests(count) {
  started.subscribe(() => count());
}

/** Looks at the raw headers: `request.headers` would be made of all of them, and may be the program's own. */
function authenticatesConnection({ rawHeaders }) {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) {
      return BY_CONNECTION.test(rawHeaders[i + 1]);
    }
  }
  return false;
}

let followsUpgrades = false;

/**
 * Notices upgrades and CONNECT from now on. No channel tells, and a listener of 'upgrade' would change what
 * the server does. `finish()` is called once for each connection, when its parser is no longer needed
 * (lib/_http_server.js, onParserExecuteCommon).
 *
 * @param {object} parser any parser of an HTTP server
 */
function followUpgrades(parser, connections) {
  if (followsUpgrades || typeof parser?.finish !== 'function') return;
  followsUpgrades = true;
  const prototype = Object.getPrototypeOf(parser);
  const { finish } = prototype;
  prototype.finish = function finishAndNotice(...args) {
    const { incoming, socket } = this;
    if (incoming?.upgrade && socket) connections.of(socket)?.upgrade(socket);
    return finish.apply(this, args);
  };
}

module.exports = { countRequests, followRequests, followUpgrades };

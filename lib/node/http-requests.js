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

/** Keeps the connections up to date from now on. */
function followRequests(connections) {
  started.subscribe(({ request, response, socket }) => {
    const connection = connections.of(socket);
    if (connection === undefined) return;
    if (authenticatesConnection(request.rawHeaders)) connection.isPinned = true;
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

function authenticatesConnection(raw) {
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i].length === 13 && raw[i].toLowerCase() === 'authorization') return BY_CONNECTION.test(raw[i + 1]);
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

module.exports = { followRequests, followUpgrades };

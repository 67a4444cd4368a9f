'use strict';

const { followUpgrades } = require('../node/http-requests.js');
const { Protocol, isTls, protocolOf } = require('../node/servers.js');
const Http2Session = require('./http2-sessions.js');

/** Servers stay followed after they have closed, as their connections may stay open. */
const followed = new WeakSet();

/** Learns from the events of a server which of its connections are secure, and their HTTP/2 sessions. */
function followServer(server, connections) {
  if (followed.has(server)) return;
  followed.add(server);
  const onSecure = (socket) => {
    const connection = connections.of(socket);
    if (connection === undefined) return;
    connection.secure = socket;
    followUpgrades(socket.parser, connections);
  };
  const onSession = (session) => {
    // A listener before this one may have refused the client.
    if (session.destroyed) return;
    const connection = connections.of(session.socket);
    if (connection === undefined) return;
    connection.http2 = new Http2Session(session, () => connection.updateEngaged());
    if (connections.countStream !== null) session.on('stream', connections.countStream);
    connections.observer?.onSession(connection);
  };
  if (isTls(server)) server.on('secureConnection', onSecure);
  if (protocolOf(server) === Protocol.HTTP2) server.on('session', onSession);
}

module.exports = followServer;

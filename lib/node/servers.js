'use strict';

// Node's servers in a worker: what net and dgram ask `cluster._getServer()` for (lib/net.js, listenInCluster;
// lib/dgram.js, bindServerHandle), and what they do for a cluster module.

const errors = require('../errors.js');

// Flags of libuv.
const TCP_IPV6ONLY = 1;
const TCP_REUSEPORT = 2;
const UDP_IPV6ONLY = 1;
const UDP_REUSEADDR = 4;
const UDP_REUSEPORT = 8;

const LAST_PORT = 65535;
const LARGEST_BACKLOG = 2 ** 31 - 1;
// For any kernel; a longer one would not fit into a packet of the control socket.
const TOO_LONG_PATH = 4097;

const majorVersion = Number.parseInt(process.versions.node, 10);
// Node 20 fills up the name of an abstract socket with null bytes, which its clients do too.
const PADS_ABSTRACT = majorVersion === 20;
const ABSTRACT_LENGTH = 108;
// Before that, `maxConnections = 0` means no limit.
const ZERO_IS_A_LIMIT = majorVersion >= 22;
// Older permission models let every program listen.
const ASKS_TO_LISTEN = majorVersion >= 25;

function isDatagram({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

function isPipe({ addressType, address }) {
  return addressType === -1 && typeof address === 'string';
}

/** What is spoken on a connection, as far as is known. */
const Protocol = Object.freeze({
  HTTP1: 'http1',
  HTTP2: 'http2',
  /** Something of the program's own, or what followed an upgrade. */
  OTHER: 'other',
});

/** What a server speaks: found by its methods, because loading http and http2 would slow down other programs. */
function protocolOf(server) {
  if (typeof server.updateSettings === 'function') return Protocol.HTTP2;
  return typeof server.closeIdleConnections === 'function' ? Protocol.HTTP1 : Protocol.OTHER;
}

/** Whether it is an http.Server, without TLS (lib/_http_server.js, lib/https.js). */
function isPlainHttp(server) {
  return protocolOf(server) === Protocol.HTTP1 && !isTls(server);
}

/** Whether it is a tls.Server, or one of the servers made of it. */
function isTls({ addContext }) {
  return addContext !== undefined;
}

/** Whether the server has a handle already. Node 18 asks for `listen(handle)` too. */
function hasHandle({ address, port }) {
  return address === null && port === -1;
}

/** The error of Node's own servers where the permission model refuses them. The engine does not ask it. */
function denialOf(options) {
  if (!ASKS_TO_LISTEN || process.permission?.has('net') !== false) return undefined;
  return errors.accessDenied('Net', '--allow-net', isPipe(options) ? options.address : '');
}

/** @param {number} index distinguishes servers that ask for port 0 of the same address */
function toQuery(options, address, index) {
  const { addressType, port, fd, backlog, flags, readableAll, writableAll } = options;
  const udp = { udp4: 4, udp6: 6 }[addressType];
  const isSet = (flag) => (flags & flag) !== 0;
  return {
    address: address ?? undefined,
    // Node does not check the port of a datagram socket: this is what libuv makes of it.
    port: udp ? port & LAST_PORT : Math.max(port, 0),
    path: isPipe(options) ? kernelPath(address) : undefined,
    fd: fd >= 0 ? fd : undefined,
    udp,
    backlog: toBacklog(backlog),
    ipv6Only: isSet(udp ? UDP_IPV6ONLY : TCP_IPV6ONLY),
    reuseAddress: udp !== undefined && isSet(UDP_REUSEADDR),
    reusePort: isSet(udp ? UDP_REUSEPORT : TCP_REUSEPORT),
    readableAll: readableAll === true,
    writableAll: writableAll === true,
    index,
  };
}

function kernelPath(address) {
  if (!address.startsWith('\0') || !PADS_ABSTRACT) return address.slice(0, TOO_LONG_PATH);
  return address + '\0'.repeat(Math.max(ABSTRACT_LENGTH - Buffer.byteLength(address), 0));
}

/** Converts any value as V8 does. Negative numbers become the largest one, as in listen(2). */
function toBacklog(value) {
  const backlog = Number(value) || 0;
  return backlog < 0 ? LARGEST_BACKLOG : backlog;
}

/** Whether another worker should serve the next connection (lib/net.js, onconnection). */
function isFull({ maxConnections, _connections, dropMaxConnection }) {
  const isLimited = ZERO_IS_A_LIMIT ? maxConnections != null : Boolean(maxConnections);
  return isLimited && _connections >= maxConnections && !dropMaxConnection;
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

module.exports = {
  Protocol,
  denialOf,
  getSharedData,
  hasHandle,
  isDatagram,
  isFull,
  isPipe,
  isPlainHttp,
  isTls,
  protocolOf,
  setSharedData,
  toBacklog,
  toQuery,
};

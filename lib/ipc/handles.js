'use strict';

// Handles that go with a message: sockets and servers of users into descriptors, and back.

const dgram = require('node:dgram');
const net = require('node:net');
const errors = require('../errors.js');
const sockets = require('../node/sockets.js');

const NOTHING = { type: 0, fd: -1, release() {} };

// What the frames of the IPC channel call them: the place in this list (src/protocol/handle.rs).
const TYPES = [
  null,
  'tcp socket',
  'pipe socket',
  'tcp server',
  'pipe server',
  'tcp native',
  'pipe native',
  'udp4 socket',
  'udp6 socket',
  'udp native',
  'tcp bound',
];

const TCP_SOCKET = TYPES.indexOf('tcp socket');
const PIPE_SOCKET = TYPES.indexOf('pipe socket');

// Node 26 has it, and moves it to other threads by methods that have symbols for names.
const { BoundSocket, _TransferredBoundSocket } = net;
const transferSymbols = BoundSocket ? symbolsOf(BoundSocket.prototype) : {};

function symbolsOf(object) {
  const symbols = Object.getOwnPropertySymbols(object);
  return Object.fromEntries(symbols.map((symbol) => [symbol.description, symbol]));
}

/** Servers that came with a message. In a worker, Node takes their descriptor for the primary's. */
const receivedKinds = new WeakMap();

/** The `kind` of a handle of Node's own, as `sockets` has it; undefined for anything else. */
function kindOf(handle) {
  const kind = handle?.constructor?.name?.toLowerCase();
  return sockets.KINDS.includes(kind) && typeof handle.fd === 'number' ? kind : undefined;
}

/** Whether a handle of this type is a net.Socket; its message goes with the key of its server. */
function isSocket(type) {
  return type === TCP_SOCKET || type === PIPE_SOCKET;
}

/**
 * Prepares a handle for the IPC channel. Its `release()` is to be called when the channel has duplicated the
 * descriptor, or could not.
 *
 * @returns {{type: number, fd: number, release: () => void}}
 * @throws {TypeError} `ERR_INVALID_HANDLE_TYPE`
 */
function pack(handle, keepOpen) {
  if (handle instanceof net.Socket) return packSocket(handle, keepOpen);
  if (handle instanceof net.Server) return describe(handle._handle, 'server');
  if (BoundSocket && handle instanceof BoundSocket) return packBound(handle);
  if (handle instanceof dgram.Socket) return packDatagram(handle);
  if (kindOf(handle) === undefined) throw errors.invalidHandleType();
  return describe(handle, 'native');
}

function describe(handle, role, kind = kindOf(handle)) {
  // It is closed, or was sent before: the message goes alone.
  if (!handle) return NOTHING;
  const type = TYPES.indexOf(`${kind} ${role}`);
  if (type === -1) throw errors.invalidHandleType();
  return { ...NOTHING, type, fd: handle.fd };
}

function packSocket(socket, keepOpen) {
  const handle = socket._handle;
  const packed = describe(handle, 'socket');
  if (packed === NOTHING || keepOpen) return packed;
  return {
    ...packed,
    release() {
      detach(socket, handle);
      handle.close();
    },
  };
}

function packDatagram(socket) {
  return describe(sockets.datagramHandle(socket), 'socket', socket.type);
}

function packBound(bound) {
  if (bound.isPipe) throw errors.invalidHandleType();
  // Throws if it has been closed, sent or used.
  const [handle] = bound[transferSymbols.messaging_transfer_list_symbol]();
  return { ...describe(handle, 'bound'), release: () => bound.close() };
}

/** The socket is another process's now. */
function detach(socket, handle) {
  // Whatever comes is for the receiver to read.
  handle.readStop();
  handle.onread = () => {};
  socket._handle = null;
  socket.setTimeout(0);
  // Servers count their connections.
  if (socket.server) socket.server._connections -= 1;
  // Of an HTTP server, whose parser reads from the handle itself.
  const { parser, _httpMessage: response } = socket;
  if (typeof parser?.unconsume !== 'function') return;
  parser.unconsume();
  parser.remove();
  parser.socket = null;
  socket.parser = null;
  response?.detachSocket(socket);
}

/** Makes of a descriptor, which the engine found to be of that type, what was sent. */
function unpack(type, fd) {
  const [kind, role] = TYPES[type].split(' ');
  if (kind.startsWith('udp')) return unpackDatagram(kind, role, fd);
  if (role === 'server') return unpackServer(kind, fd);
  const handle = sockets.stream(kind, fd);
  if (role === 'native') return handle;
  if (role === 'bound') return unpackBound(handle);
  return new net.Socket({ handle, readable: true, writable: true });
}

function unpackBound(handle) {
  const bound = new _TransferredBoundSocket();
  bound[transferSymbols.messaging_deserialize_symbol]({ handle });
  return bound;
}

function unpackServer(kind, fd) {
  const server = new net.Server();
  receivedKinds.set(server, kind);
  return server.listen({ fd });
}

/** The handle of a server that came with a message; undefined for any other. */
function handleOfReceived(server, fd) {
  const kind = receivedKinds.get(server);
  return kind && sockets.stream(kind, fd);
}

function unpackDatagram(kind, role, fd) {
  const handle = sockets.datagram(fd);
  if (role === 'native') return handle;
  return dgram.createSocket(kind).bind(handle);
}

module.exports = { NOTHING, handleOfReceived, isSocket, pack, unpack };

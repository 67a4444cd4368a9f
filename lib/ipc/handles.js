'use strict';

// Handles that go with a message: sockets and servers of users into descriptors, and back.

const net = require('node:net');
const errors = require('../errors.js');
const nodeHandles = require('../node/handles.js');

/** What `pack()` gives for a handle that is closed, or was sent before: the message goes alone. */
const NOTHING = { type: 0, fd: -1, release() {} };

// The number of a type in the frames of the IPC channel is its index here (src/protocol/handle.rs).
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

// Node 26 has it.
const { BoundSocket } = net;

/**
 * The kinds of servers that came with a message. In a worker, Node takes their descriptor for the primary's.
 */
const receivedKinds = new WeakMap();

/** Whether a handle of this type is a net.Socket. The key of its server goes with the message. */
function isSocket(type) {
  return type === TCP_SOCKET || type === PIPE_SOCKET;
}

/**
 * Prepares a handle for being sent. Call `release()` when the channel has duplicated the descriptor, or has
 * failed to.
 *
 * @returns {{type: number, fd: number, release: () => void}}
 * @throws {TypeError} `ERR_INVALID_HANDLE_TYPE`
 */
function pack(handle, keepOpen) {
  if (handle instanceof net.Socket) return packSocket(handle, keepOpen);
  if (handle instanceof net.Server) return describe(nodeHandles.handleOf(handle), 'server');
  if (BoundSocket && handle instanceof BoundSocket) return packBound(handle);
  // Loaded here, because most workers do not use it, and it takes a while.
  if (handle instanceof require('node:dgram').Socket) return packDatagram(handle);
  if (nodeHandles.kindOf(handle) === undefined) throw errors.invalidHandleType();
  return describe(handle, 'native');
}

function describe(handle, role, kind = nodeHandles.kindOf(handle)) {
  if (!handle) return NOTHING;
  const type = TYPES.indexOf(`${kind} ${role}`);
  if (type === -1) throw errors.invalidHandleType();
  return { ...NOTHING, type, fd: nodeHandles.descriptorOf(handle) };
}

function packSocket(socket, keepOpen) {
  const handle = nodeHandles.handleOf(socket);
  const packed = describe(handle, 'socket');
  if (packed === NOTHING || keepOpen) return packed;
  return { ...packed, release: () => nodeHandles.detach(socket, handle) };
}

function packDatagram(socket) {
  const type = nodeHandles.typeOfDatagram(socket);
  return describe(nodeHandles.handleOfDatagram(socket), 'socket', type);
}

function packBound(bound) {
  if (bound.isPipe) throw errors.invalidHandleType();
  const handle = nodeHandles.handleOfBound(bound);
  return { ...describe(handle, 'bound'), release: () => bound.close() };
}

/** Makes of a descriptor what was sent. The engine has checked that it is of this type. */
function unpack(type, fd) {
  const [kind, role] = TYPES[type].split(' ');
  if (kind.startsWith('udp')) return unpackDatagram(kind, role, fd);
  if (role === 'server') return unpackServer(kind, fd);
  const handle = nodeHandles.openStream(kind, fd);
  if (role === 'native') return handle;
  if (role === 'bound') return nodeHandles.toBoundSocket(handle);
  return nodeHandles.toSocket(handle);
}

function unpackServer(kind, fd) {
  const server = new net.Server();
  receivedKinds.set(server, kind);
  return server.listen({ fd });
}

/** A handle for the descriptor of a server that came with a message; undefined for any other server. */
function handleOfReceived(server, fd) {
  const kind = receivedKinds.get(server);
  return kind && nodeHandles.openStream(kind, fd);
}

function unpackDatagram(kind, role, fd) {
  const handle = nodeHandles.openDatagram(fd);
  return role === 'native' ? handle : nodeHandles.toDatagramSocket(kind, handle);
}

module.exports = { NOTHING, handleOfReceived, isSocket, pack, unpack };

'use strict';

// Node's handles of sockets: instances of the classes TCP, Pipe and UDP (src/tcp_wrap.cc, src/pipe_wrap.cc,
// src/udp_wrap.cc), which net and dgram keep in their objects. The classes are not public, so each is taken
// from a socket that Node has made of it.

const { closeSync } = require('node:fs');
const net = require('node:net');
const { errnoException } = require('../errors.js');

const SOCKET = 0;
/** The property of a handle that refers to its socket. */
let ownerSymbol;
const classes = { tcp: undefined, pipe: undefined, udp: undefined };
const KINDS = Object.keys(classes);

// Node 26 has it (lib/net.js). The class of those that came from elsewhere, and the names of the methods that
// move one to another thread, are internal.
const { BoundSocket, _TransferredBoundSocket } = net;
const transferSymbols = BoundSocket ? symbolsOf(BoundSocket.prototype) : {};

/** A 'tcp' or 'pipe' handle for a descriptor. The handle closes it. */
function openStream(kind, fd) {
  const Handle = classes[kind];
  if (Handle !== undefined) return open(new Handle(SOCKET), fd);
  const socket = firstSocket(fd);
  const handle = socket._handle;
  socket._handle = null;
  classes[kind] = handle.constructor;
  return handle;
}

function firstSocket(fd) {
  try {
    return new net.Socket({ fd, manualStart: true });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Calls back with each handle of the class of this one that is being closed, and its descriptor: by `close()`, perhaps
 * more than once, or by `reset()`.
 */
function followClosing(handle, onClose) {
  const prototype = Object.getPrototypeOf(handle);
  const { close, reset } = prototype;
  prototype.close = function closeAndTell(callback) {
    onClose(this, this.fd);
    return close.call(this, callback);
  };
  // Unix sockets can't be reset.
  if (reset === undefined) return;
  prototype.reset = function resetAndTell(callback) {
    const { fd } = this;
    const errno = reset.call(this, callback);
    if (errno === 0) onClose(this, fd);
    return errno;
  };
}

/** A UDP handle for a descriptor. The handle closes it. */
function openDatagram(fd) {
  if (classes.udp === undefined) {
    // Until it is closed, it must not count as an active resource.
    const socket = require('node:dgram').createSocket('udp4').unref();
    classes.udp = handleOfDatagram(socket).constructor;
    socket.close();
  }
  return open(new classes.udp(), fd);
}

function open(handle, fd) {
  const errno = handle.open(fd);
  if (errno === 0) return handle;
  closeSync(fd);
  handle.close();
  throw errnoException(errno, 'open');
}

/** 'tcp', 'pipe' or 'udp' for one of Node's handles; undefined for anything else. */
function kindOf(handle) {
  const kind = handle?.constructor?.name?.toLowerCase();
  return KINDS.includes(kind) && typeof handle.fd === 'number' ? kind : undefined;
}

/** The handle of a net.Socket or a net.Server; null once it is closed. */
function handleOf({ _handle }) {
  return _handle;
}

/** The net.Socket that has this handle; undefined before there is one (lib/net.js, initSocketHandle). */
function socketOf(handle) {
  ownerSymbol ??= symbolsOf(handle).owner_symbol;
  return handle[ownerSymbol];
}

/** The handle of a dgram.Socket (lib/dgram.js, kStateSymbol); null once it is closed. */
function handleOfDatagram(socket) {
  const symbols = Object.getOwnPropertySymbols(socket);
  const state = symbols.find(({ description }) => description === 'state symbol');
  return socket[state].handle;
}

/** The handle of a net.BoundSocket, which throws if it has been closed, sent or used. */
function handleOfBound(bound) {
  return bound[transferSymbols.messaging_transfer_list_symbol]()[0];
}

/** The descriptor of a handle; -1 once it is closed. */
function descriptorOf({ fd }) {
  return fd;
}

/** 'udp4' or 'udp6'. */
function typeOfDatagram({ type }) {
  return type;
}

/** A net.Socket with this handle. */
function toSocket(handle) {
  return new net.Socket({ handle, readable: true, writable: true });
}

/** A dgram.Socket with this handle. */
function toDatagramSocket(type, handle) {
  return require('node:dgram').createSocket(type).bind(handle);
}

/** A net.BoundSocket with this handle. */
function toBoundSocket(handle) {
  const bound = new _TransferredBoundSocket();
  bound[transferSymbols.messaging_deserialize_symbol]({ handle });
  return bound;
}

/**
 * Makes a server ask about its sockets that other processes have, for `getConnections()` and `close()`
 * (lib/net.js; `sent` is like SocketListSend of lib/internal/socket_list.js).
 */
function countSent(server, sent) {
  server._setupWorker(sent);
}

/** The net.Server that has accepted a socket; null for others. */
function serverOf({ server }) {
  return server;
}

/**
 * Takes the handle out of a net.Socket, which another process has now, and closes it: what
 * lib/internal/child_process.js does for 'net.Socket'.
 */
function detach(socket, handle) {
  // What comes from now on is for the receiver to read.
  handle.readStop();
  handle.onread = () => {};
  socket._handle = null;
  socket.setTimeout(0);
  if (socket.server) socket.server._connections -= 1;
  detachFromHttp(socket);
  handle.close();
}

/** The parser of an HTTP server reads from the handle itself (lib/_http_server.js). */
function detachFromHttp(socket) {
  const { parser, _httpMessage: response } = socket;
  if (typeof parser?.unconsume !== 'function') return;
  parser.unconsume();
  parser.remove();
  parser.socket = null;
  socket.parser = null;
  response?.detachSocket(socket);
}

function symbolsOf(object) {
  const symbols = Object.getOwnPropertySymbols(object);
  return Object.fromEntries(symbols.map((symbol) => [symbol.description, symbol]));
}

module.exports = {
  countSent,
  descriptorOf,
  detach,
  followClosing,
  handleOf,
  handleOfBound,
  handleOfDatagram,
  kindOf,
  openDatagram,
  openStream,
  serverOf,
  socketOf,
  toBoundSocket,
  toDatagramSocket,
  toSocket,
  typeOfDatagram,
};

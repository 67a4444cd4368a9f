'use strict';

// Node's socket handles, made for descriptors. Their classes are not public; each is learnt from a
// socket that Node made of it.

const { closeSync } = require('node:fs');
const net = require('node:net');
const dgram = require('node:dgram');
const { errnoException } = require('../errors.js');

const SOCKET = 0;
const classes = { tcp: undefined, pipe: undefined, udp: undefined };
const KINDS = Object.keys(classes);

/** A stream handle ('tcp' or 'pipe') for a descriptor, which is the handle's from now on. */
function stream(kind, fd) {
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

/** A UDP handle for a descriptor, which is the handle's from now on. */
function datagram(fd) {
  if (classes.udp === undefined) {
    // Until it is closed, it is not to count as an active resource.
    const socket = dgram.createSocket('udp4').unref();
    classes.udp = datagramHandle(socket).constructor;
    socket.close();
  }
  return open(new classes.udp(), fd);
}

/** The handle of a dgram.Socket; null once it is closed. */
function datagramHandle(socket) {
  const symbols = Object.getOwnPropertySymbols(socket);
  const state = symbols.find(({ description }) => description === 'state symbol');
  return socket[state].handle;
}

function open(handle, fd) {
  const errno = handle.open(fd);
  if (errno === 0) return handle;
  closeSync(fd);
  handle.close();
  throw errnoException(errno, 'open');
}

module.exports = { KINDS, datagram, datagramHandle, stream };

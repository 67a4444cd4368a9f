'use strict';

// The handles that `cluster._getServer()` gives to net and dgram (lib/internal/cluster/child.js: rr() and
// shared()).

const LoopRef = require('../loop-ref.js');
const { openDatagram, openStream } = require('./handles.js');

/** Stands for a listening socket that the primary has. */
function makeFaux(bound, onClose) {
  let isOpen = true;
  const handle = {
    listen: () => 0,
    close() {
      isOpen = false;
    },
  };
  // Only sockets with a port have a name to ask for.
  if (bound !== null) {
    handle.getsockname = (out) => {
      if (isOpen) Object.assign(out, bound);
      return 0;
    };
  }
  return keepLoopRunning(handle, onClose);
}

/**
 * The listening socket itself, from which all workers accept. The handle does not accept: libuv closes the
 * connections for which a process has no descriptor.
 *
 * @param {(backlog: number) => number} accept starts to, and returns 0 or a negated errno
 */
function makeShared(kind, fd, accept, onClose) {
  const handle = Object.assign(openStream(kind, fd), { listen: accept });
  return keepLoopRunning(handle, onClose);
}

/** The UDP socket, of which all workers have a descriptor. */
function makeDatagram(fd, onClose) {
  return afterClose(openDatagram(fd), onClose);
}

/** Makes a handle tell another address than that of its socket. */
function showAddress(handle, bound) {
  handle.getsockname = (out) => {
    Object.assign(out, bound);
    return 0;
  };
}

/** Passes a connection to the server of a handle, or a negated errno. */
function passConnection(handle, errno, connection) {
  handle.onconnection(errno, connection);
}

/** Lets a handle keep the event loop running as one of libuv that listens does. Returns the handle. */
function keepLoopRunning(handle, onClose) {
  const loopRef = new LoopRef();
  let isOpen = true;
  loopRef.ref();
  Object.assign(handle, {
    ref: () => isOpen && loopRef.ref(),
    unref: () => loopRef.unref(),
    hasRef: () => loopRef.hasRef(),
  });
  return afterClose(handle, () => {
    isOpen = false;
    loopRef.unref();
    onClose();
  });
}

/** Calls back once, when the descriptor of a handle is closed. Returns the handle. */
function afterClose(handle, callback) {
  const { close } = handle;
  handle.close = function closeOnce(...args) {
    handle.close = close;
    const result = close.apply(this, args);
    callback();
    return result;
  };
  return handle;
}

module.exports = { makeDatagram, makeFaux, makeShared, passConnection, showAddress };

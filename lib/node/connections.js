'use strict';

const net = require('node:net');
const { openStream } = require('./handles.js');
const { passConnection } = require('./listening-handles.js');

/**
 * Handles of connections that the primary counts until they end. They inherit from the class that
 * Node has for them, so it costs a connection neither a closure nor a property of its own.
 */
class Connections {
  #onEnd;
  /** What handles inherit from, by kind. */
  #prototypes = {};

  /** `onEnd` is called once for each connection. */
  constructor(onEnd) {
    this.#onEnd = onEnd;
    this.#watchTransfers();
  }

  /** Passes a connection to the server of a listening handle. */
  serve(listening, kind, fd) {
    const connection = this.#open(kind, fd);
    let isServed = false;
    try {
      passConnection(listening, 0, connection);
      isServed = true;
    } finally {
      // A listener has thrown. As in Node the socket stays open, perhaps for ever, but it must not count as
      // load.
      if (!isServed) this.#release(connection);
    }
  }

  /** A handle ('tcp' or 'pipe') for a connection, whose descriptor is the handle's from now on. */
  #open(kind, fd) {
    let handle;
    try {
      handle = openStream(kind, fd);
    } finally {
      if (handle === undefined) this.#onEnd();
    }
    this.#prototypes[kind] ??= countingPrototype(Object.getPrototypeOf(handle), this.#onEnd);
    return Object.setPrototypeOf(handle, this.#prototypes[kind]);
  }

  /** Counts a connection as ended, unless it is already, whatever becomes of its handle. */
  #release(handle) {
    const prototype = Object.getPrototypeOf(handle);
    if (!Object.values(this.#prototypes).includes(prototype)) return;
    if (isOpen(handle)) this.#onEnd();
    Object.setPrototypeOf(handle, Object.getPrototypeOf(prototype));
  }

  /** A socket that is moved to another thread takes its descriptor out of the handle. */
  #watchTransfers() {
    const { prototype } = net.Socket;
    const symbols = Object.getOwnPropertySymbols(prototype);
    const name = symbols.find(({ description }) => description === 'messaging_transfer_symbol');
    // Sockets can't be moved in this version of Node.
    if (name === undefined) return;
    const transfer = prototype[name];
    const connections = this;
    prototype[name] = function transferAndRelease(...args) {
      const handle = this._handle;
      const moved = transfer.apply(this, args);
      connections.#release(handle);
      return moved;
    };
  }
}

/** What `close()` does for the first time only. */
function isOpen(handle) {
  return handle.fd >= 0;
}

function countingPrototype(plain, onEnd) {
  const prototype = {
    __proto__: plain,
    close(callback) {
      if (isOpen(this)) onEnd();
      return super.close(callback);
    },
    reset(callback) {
      const wasOpen = isOpen(this);
      const errno = super.reset(callback);
      if (wasOpen && errno === 0) onEnd();
      return errno;
    },
  };
  // Unix sockets can't be reset.
  if (plain.reset === undefined) delete prototype.reset;
  return prototype;
}

module.exports = Connections;

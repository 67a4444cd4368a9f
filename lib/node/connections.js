'use strict';

const net = require('node:net');
const { openStream } = require('./handles.js');
const { passConnection } = require('./listening-handles.js');

/**
 * Makes handles of connections, and counts when they end, so that the engine knows how many this worker has.
 * The prototype of such a handle inherits from the prototype of Node's class, so counting costs a connection
 * neither a closure nor a property.
 */
class Connections {
  #onEnd;
  /** The prototypes of handles, by kind. */
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

  /** A 'tcp' or 'pipe' handle for the descriptor of a connection. The handle closes it. */
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

  /** Counts a connection as ended, unless it has ended already. Its handle is not counted any longer. */
  #release(handle) {
    const prototype = Object.getPrototypeOf(handle);
    if (!Object.values(this.#prototypes).includes(prototype)) return;
    if (isOpen(handle)) this.#onEnd();
    Object.setPrototypeOf(handle, Object.getPrototypeOf(prototype));
  }

  /** Counts a socket that is moved to another thread, without its handle being closed (lib/net.js). */
  #watchTransfers() {
    const { prototype } = net.Socket;
    const symbols = Object.getOwnPropertySymbols(prototype);
    const name = symbols.find(({ description }) => description === 'messaging_transfer_symbol');
    // In this version of Node sockets can't be moved.
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

/** Whether `close()` has not been called. */
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

'use strict';

const net = require('node:net');
const Connection = require('./connection.js');
const { handleOf, openStream, socketOf } = require('./handles.js');
const { followUpgrades } = require('./http-requests.js');
const { passConnection } = require('./listening-handles.js');

/**
 * The connections that the engine has delivered, until their handles are closed. The prototype of such a
 * handle inherits from the prototype of Node's class, so noticing that costs a connection neither a closure
 * nor a property.
 */
class Connections {
  /** What a drain does about connections; see `Drain`. */
  observer = null;
  /** The moment after which a connection that ends here stays counted as engaged: its client has been cut. */
  deadline = Number.POSITIVE_INFINITY;
  /** Called for each HTTP/2 stream that a client opens, if those are counted. */
  countStream = null;
  #onEnd;
  /** By handle. */
  #open = new Map();
  /** The prototypes of handles, by kind. */
  #prototypes = {};
  /** Their states, by the numbers of their descriptors: memory that the engine reads. */
  #states = new Uint8Array(0);

  /** `onEnd` is called once for each connection that the engine counts. */
  constructor(onEnd) {
    this.#onEnd = onEnd;
    this.#watchTransfers();
  }

  /** Keeps the states of connections in this memory, which the engine reads. */
  keepStatesIn(states) {
    this.#states = states;
  }

  get size() {
    return this.#open.size;
  }

  [Symbol.iterator]() {
    return this.#open.values();
  }

  /** The connection of a socket, or of the TLS socket upon it; undefined for others. */
  of(socket) {
    const handle = handleOf(socket);
    if (handle === null || handle === undefined) return undefined;
    // lib/_tls_wrap.js, TLSSocket.prototype._wrapHandle
    return this.#open.get(handle) ?? this.#open.get(handle._parent);
  }

  /** Passes a connection to the server of a listening handle. */
  serve(served, fd) {
    const { listener, server, protocol, handle: listening, kind } = served;
    const handle = this.#openHandle(kind, fd);
    const connection = new Connection(this, { listener, server, protocol, handle });
    this.#register(connection);
    let isServed = false;
    try {
      passConnection(listening, 0, handle);
      isServed = true;
    } finally {
      // A listener has thrown. As in Node the socket stays open, perhaps for ever, but it must not count as
      // load.
      if (!isServed) this.#release(handle);
    }
    this.#delivered(connection);
  }

  /**
   * The same for a connection that the engine does not count. `passes` calls its argument in the context of
   * the listening socket.
   */
  serveShared(served, fd, passes) {
    const { listener, server, protocol, handle: listening, kind } = served;
    const handle = this.#watched(openStream(kind, fd), kind);
    const connection = new Connection(this, { listener, server, protocol, handle });
    connection.isCounted = false;
    this.#register(connection);
    passes(() => passConnection(listening, 0, handle));
    this.#delivered(connection);
  }

  #register(connection) {
    this.#open.set(connection.handle, connection);
    connection.updateEngaged();
  }

  /** The server has got the connection, and may have closed it. */
  #delivered(connection) {
    if (!this.#open.has(connection.handle)) return;
    const socket = socketOf(connection.handle);
    if (!socket) return;
    connection.setSocket(socket);
    followUpgrades(socket.parser, this);
    this.observer?.onOpen(connection);
  }

  /** A 'tcp' or 'pipe' handle for the descriptor of a connection. The handle closes it. */
  #openHandle(kind, fd) {
    let handle;
    try {
      handle = openStream(kind, fd);
    } finally {
      if (handle === undefined) this.#onEnd();
    }
    return this.#watched(handle, kind);
  }

  #watched(handle, kind) {
    this.#prototypes[kind] ??= watchedPrototype(Object.getPrototypeOf(handle), (closed) =>
      this.#closed(closed),
    );
    return Object.setPrototypeOf(handle, this.#prototypes[kind]);
  }

  /** The handle is being closed, perhaps once more. */
  #closed(handle) {
    const connection = this.#open.get(handle);
    if (connection === undefined) return;
    this.#open.delete(handle);
    // The engine counts no more connections as cut than it considers open.
    const isCut = connection.end(this.deadline);
    if (connection.isCounted && !isCut) this.#onEnd();
    this.observer?.onClose(connection);
  }

  /** Counts a connection as ended, unless it has ended already. Its handle is not watched any longer. */
  #release(handle) {
    this.#closed(handle);
    const prototype = Object.getPrototypeOf(handle);
    if (!Object.values(this.#prototypes).includes(prototype)) return;
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

  /** Called by a connection with a new state. What is beyond the memory has none. */
  setState(fd, state) {
    this.#states[fd] = state;
  }
}

function watchedPrototype(plain, onClose) {
  const prototype = {
    __proto__: plain,
    close(callback) {
      onClose(this);
      return super.close(callback);
    },
    reset(callback) {
      const errno = super.reset(callback);
      if (errno === 0) onClose(this);
      return errno;
    },
  };
  // Unix sockets can't be reset.
  if (plain.reset === undefined) delete prototype.reset;
  return prototype;
}

module.exports = Connections;

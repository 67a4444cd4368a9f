'use strict';

const net = require('node:net');
const Connection = require('./connection.js');
const { descriptorOf, followClosing, handleOf, openStream, socketOf } = require('./handles.js');
const { followUpgrades } = require('./http-requests.js');
const { passConnection } = require('./listening-handles.js');

/**
 * The connections that the engine has delivered, until their handles are closed. Node's classes of handles tell
 * that, so it costs a connection neither a closure nor a property.
 */
class Connections {
  /** What a drain does about connections; see `Drain`. */
  observer = null;
  /** The moment after which a connection that ends here stays counted as engaged: its client has been cut. */
  deadline = Number.POSITIVE_INFINITY;
  /** Called for each HTTP/2 stream that a client opens, if those are counted. */
  countStream = null;
  #onEnd;
  /**
   * By the numbers of their descriptors. In a Map they would outlive their end: it replaces its table again and
   * again, each table refers to the next, and once one of them is old, V8 takes all that follow for alive until it
   * collects old objects.
   */
  #open = [];
  #size = 0;
  /** The kinds of handles that are followed. */
  #followed = new Set();
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
    return this.#size;
  }

  *[Symbol.iterator]() {
    for (const connection of this.#open) {
      if (connection !== undefined) yield connection;
    }
  }

  /** The connection of a socket, or of the TLS socket upon it; undefined for others. */
  of(socket) {
    const handle = handleOf(socket);
    // lib/_tls_wrap.js, TLSSocket.prototype._wrapHandle
    return this.#ofHandle(handle) ?? this.#ofHandle(handle?._parent);
  }

  #ofHandle(handle) {
    if (handle === null || handle === undefined) return undefined;
    return this.#at(descriptorOf(handle), handle);
  }

  #at(fd, handle) {
    const connection = this.#open[fd];
    return connection?.handle === handle ? connection : undefined;
  }

  /** Passes a connection to the server of a listening handle. */
  serve(served, fd) {
    const connection = this.#register(served, this.#openCounted(served.kind, fd), fd);
    let isServed = false;
    try {
      passConnection(served.handle, 0, connection.handle);
      isServed = true;
    } finally {
      // A listener has thrown. As in Node the socket stays open, perhaps for ever, but it must not count as
      // load.
      if (!isServed) this.#end(connection);
    }
    this.#delivered(connection);
  }

  /**
   * The same for a connection that the engine does not count. `passes` calls its argument in the context of
   * the listening socket.
   */
  serveShared(served, fd, passes) {
    const connection = this.#register(served, openStream(served.kind, fd), fd);
    connection.isCounted = false;
    passes(() => passConnection(served.handle, 0, connection.handle));
    this.#delivered(connection);
  }

  #register(served, handle, fd) {
    if (!this.#followed.has(served.kind)) this.#follow(served.kind, handle);
    const connection = new Connection(this, served, handle, fd);
    // The program may have closed a descriptor itself, and its number is another's now.
    this.#end(this.#open[fd]);
    while (this.#open.length <= fd) this.#open.push(undefined);
    this.#open[fd] = connection;
    this.#size += 1;
    connection.updateEngaged();
    return connection;
  }

  #follow(kind, handle) {
    this.#followed.add(kind);
    followClosing(handle, (closed, fd) => this.#end(this.#at(fd, closed)));
  }

  /** The server has got the connection, and may have closed it. */
  #delivered(connection) {
    if (connection.hasEnded) return;
    const socket = socketOf(connection.handle);
    if (!socket) return;
    connection.setSocket(socket);
    followUpgrades(socket.parser, this);
    this.observer?.onOpen(connection);
  }

  /** A 'tcp' or 'pipe' handle for the descriptor of a connection. The handle closes it. */
  #openCounted(kind, fd) {
    let handle;
    try {
      handle = openStream(kind, fd);
    } finally {
      if (handle === undefined) this.#onEnd();
    }
    return handle;
  }

  /** Counts a connection as ended, unless it has ended already. */
  #end(connection) {
    if (connection === undefined || connection.hasEnded) return;
    this.#open[connection.fd] = undefined;
    this.#size -= 1;
    // The engine counts no more connections as cut than it considers open.
    const isCut = connection.end(this.deadline);
    if (connection.isCounted && !isCut) this.#onEnd();
    this.observer?.onClose(connection);
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
    prototype[name] = function transferAndEnd(...args) {
      const connection = connections.of(this);
      const moved = transfer.apply(this, args);
      connections.#end(connection);
      return moved;
    };
  }

  /** Called by a connection with a new state. What is beyond the memory has none. */
  setState(fd, state) {
    this.#states[fd] = state;
  }
}

module.exports = Connections;

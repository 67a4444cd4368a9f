'use strict';

const { now } = require('../real-timers.js');
const { Protocol, isPlainHttp } = require('./servers.js');

/** The states of connections, as the engine knows them (src/sys/ring/counters.rs). */
const State = Object.freeze({ NONE: 0, IDLE: 1, ENGAGED: 2 });

/** A connection that the engine has delivered. */
class Connection {
  /** Whether the engine is told when it ends. */
  isCounted = true;
  /** The net.Socket; undefined while the server gets it. */
  socket;
  /** The TLSSocket upon it, once that is secure. */
  secure;
  /** Whether Node's HTTP parser alone has read from it from the start, so that another worker may go on. */
  isPlainHttp = false;
  /** Whether it must not be handed over. */
  isPinned = false;
  /** How many HTTP/1 requests have no complete response yet. */
  pending = 0;
  /** The newest response, until it has finished. */
  newest = null;
  /** Whether the head of a request has come in part. Known only while the worker drains. */
  hasPartialHead = false;
  /** Whether the engine has got it. */
  hasMoved = false;
  /** When the last HTTP/1 response finished. */
  finishedAt = 0;
  /** The Http2Session, once there is one. */
  http2 = null;
  /** Whether a client would notice if this process ended now; undefined until that is first known. */
  isEngaged;
  #connections;
  /** A weak reference to `unread`, which Node's parser keeps for as long as it is needed. */
  #unread = null;
  #hasEnded = false;

  /** @param {number} fd the descriptor of the handle */
  constructor(connections, { listener, server, protocol }, handle, fd) {
    this.#connections = connections;
    this.listener = listener;
    this.server = server;
    this.protocol = protocol;
    this.handle = handle;
    this.fd = fd;
  }

  /** The socket whose end the client understands. */
  get outermost() {
    return this.secure ?? this.socket;
  }

  /** Node's HTTP parser must have got the socket in the same turn: what reads first may keep state for it. */
  setSocket(socket) {
    this.socket = socket;
    const { parser } = socket;
    const isParsed = parser?.socket === socket && socket.server === this.server;
    this.isPlainHttp = isParsed && isPlainHttp(this.server);
  }

  begin(response, socket) {
    // Of a server that another one passes its sockets to, no event tells this.
    if (socket !== this.socket) this.secure = socket;
    this.protocol = Protocol.HTTP1;
    this.newest = response;
    this.#unread = null;
    this.hasPartialHead = false;
    this.pending += 1;
    this.updateEngaged();
  }

  finish(request, response) {
    if (this.newest === response) this.newest = null;
    if (!request.complete) this.#unread = new WeakRef(request);
    this.pending -= 1;
    this.finishedAt = now();
    this.updateEngaged();
  }

  /** The last request, if it was answered before its body had come, as long as that comes; otherwise null. */
  get unread() {
    const request = this.#unread?.deref();
    return request === undefined || request.complete ? null : request;
  }

  /** From now on the socket is the program's. */
  upgrade(socket) {
    if (socket !== this.socket) this.secure = socket;
    this.protocol = Protocol.OTHER;
    this.updateEngaged();
  }

  /** Lets the engine know whether the connection is engaged, if that has changed. */
  updateEngaged() {
    const isEngaged = this.#hasMore();
    if (this.#hasEnded || isEngaged === this.isEngaged) return;
    this.isEngaged = isEngaged;
    this.#connections.setState(this.fd, isEngaged ? State.ENGAGED : State.IDLE);
  }

  #hasMore() {
    if (this.protocol === Protocol.HTTP1) return this.pending > 0 || this.hasPartialHead;
    if (this.protocol === Protocol.HTTP2) return this.http2 !== null && this.http2.open > 0;
    return true;
  }

  /** It is closed. Returns whether its client has been cut, because the time to drain is over. */
  end(deadline) {
    const isCut = this.isEngaged && now() >= deadline;
    if (!isCut) this.#connections.setState(this.fd, State.NONE);
    this.#hasEnded = true;
    this.newest = null;
    return isCut;
  }

  get hasEnded() {
    return this.#hasEnded;
  }
}

module.exports = Connection;

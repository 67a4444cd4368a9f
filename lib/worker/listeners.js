'use strict';

const { closeSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { debuglog } = require('node:util');
const emitThen = require('../emit-then.js');
const EventContext = require('../event-context.js');
const { handleOfReceived } = require('../ipc/handles.js');
const { listening } = require('../ipc/internal-messages.js');
const Connections = require('../node/connections.js');
const Datagrams = require('../node/datagrams.js');
const { handleOf } = require('../node/handles.js');
const { followRequests } = require('../node/http-requests.js');
const {
  denialOf,
  hasHandle,
  isDatagram,
  isFull,
  isPipe,
  isPlainHttp,
  protocolOf,
  toBacklog,
  toQuery,
} = require('../node/servers.js');
const {
  makeFaux,
  makeShared,
  passConnection,
  showAddress,
} = require('../node/listening-handles.js');
const TlsTickets = require('../node/tls-tickets.js');
const { nextTick } = require('../real-timers.js');
const deferClose = require('./defer-close.js');
const followServer = require('./followed-servers.js');

const debug = debuglog('cluster');

/** The servers of this worker: what they ask the engine for, and the connections that they get. */
class Listeners {
  /** Whether this worker leaves. */
  isLeaving = false;
  /** Called when the engine has answered a query. */
  onAnswered = () => {};
  #lanes;
  #channel;
  #context;
  #worker;
  #connections;
  #rehearses;
  /**
   * By the number of the listener: `{listener, server, protocol, handle, kind, context}`. Servers of one
   * address share a listener.
   */
  #served = new Map();
  /** What waits for the engine to have closed a listener: callbacks, by its number. */
  #closing = new Map();
  /** Queries that the engine has not answered, by their number. */
  #queries = new Map();
  #indexes = new Indexes();
  #datagrams = new Datagrams();
  #tickets;

  /** @param {boolean} it.rehearses whether sockets have other addresses than the program is to see */
  constructor({ lanes, channel, context, worker, rehearses }) {
    this.#lanes = lanes;
    this.#channel = channel;
    this.#context = context;
    this.#worker = worker;
    this.#rehearses = rehearses;
    this.#connections = new Connections(() => lanes.connectionClosed());
    followRequests(this.#connections);
    this.#tickets = new TlsTickets(() => lanes.askForTicketKeys());
  }

  /** The connections of this worker. */
  get connections() {
    return this.#connections;
  }

  /** A connection must not be handed over to another worker. */
  pin(socket) {
    const connection = this.#connections.of(socket);
    if (connection !== undefined) connection.isPinned = true;
  }

  /** Lets the engine's answers, connections and orders come in. */
  start(onDrain) {
    this.#lanes.start({
      onReply: (reply) => this.#hearReply(reply),
      onConnection: (listener, fd) => this.#onConnection(listener, fd),
      onSharedConnection: (listener, fd) => this.#onSharedConnection(listener, fd),
      onClosed: (listener) => this.#onClosed(listener),
      onGarbage: (reason) => this.#channel.fail(reason),
      onDrain,
      onWithheld: (isWithheld) => this.#datagrams.withhold(isWithheld),
      onTicketKeys: (keys) => this.#tickets.setKeys(keys),
    });
    this.#connections.keepStatesIn(this.#lanes.connectionStates);
  }

  /** `cluster._getServer()`, which `net.Server#listen` and `dgram.Socket#bind` call in a worker. */
  listen(server, options, callback) {
    const denial = denialOf(options);
    if (denial !== undefined) {
      // Node's own datagram sockets emit it.
      if (!isDatagram(options)) throw denial;
      nextTick(callback, -require('node:os').constants.errno.EACCES);
      return;
    }
    const own = ownHandle(server, options);
    if (own !== undefined) callback(0, own);
    else this.#ask(server, options, callback);
  }

  #ask(server, options, callback) {
    const { addressType, fd, port } = options;
    const address = addressOf(options);
    const key = [address, port, addressType, fd].join(':');
    const index = this.#indexes.take(key);
    const data = this.#tickets.getSharedData(server);
    const query = toQuery(options, address, port === 0 ? index : 0);
    const seq = this.#lanes.listen({
      ...query,
      data: data && JSON.stringify(data),
      isHttp: isPlainHttp(server),
    });
    let isReleased = false;
    const release = () => {
      isReleased = true;
      this.#indexes.release(key, index);
      // The server may listen again, and each time is reported once.
      server.removeListener('listening', onListening);
    };
    const onListening = () => {
      // A listener before this one may have closed the server.
      if (isReleased) return;
      this.#worker.state = 'listening';
      const boundPort = server.address()?.port || port;
      this.#channel.sendInternal(listening({ address, port: boundPort, addressType, fd }));
    };
    this.#queries.set(seq, { server, options, release, callback, onListening });
    debug('worker %d asks for %s:%s', this.#worker.id, address ?? '*', port);
    server.once('listening', onListening);
  }

  /** Node takes two ticks for a message with a handle. */
  #hearReply(reply) {
    const context = this.#context;
    const onReply = () => this.#onReply(reply);
    if (reply.fd === -1) context.nextTick(onReply);
    else context.nextTick(() => context.nextTick(onReply));
  }

  #onReply({ seq, errno, listener, fd, data, ...bound }) {
    const query = this.#queries.get(seq);
    this.#queries.delete(seq);
    this.onAnswered();
    // This worker has left since it asked, and serves nothing any longer.
    if (!process.connected) {
      if (fd !== -1) closeSync(fd);
      if (errno === 0) this.#lanes.closeListener(listener);
      query.release();
      return;
    }
    if (data !== undefined) this.#tickets.setSharedData(query.server, JSON.parse(data));
    if (errno !== 0) {
      query.release();
      query.callback(errno, null);
      return;
    }
    this.#serve(query, listener, fd, bound);
  }

  #serve(query, listener, fd, bound) {
    const { server, options, callback, onListening } = query;
    const close = () => this.#close(listener, query);
    const accept = (backlog) => this.#lanes.accept(listener, fd, toBacklog(backlog));
    const isInternet = bound.port !== undefined;
    const kind = isInternet ? 'tcp' : 'pipe';
    let handle;
    if (fd === -1) handle = makeFaux(isInternet ? bound : null, close);
    else if (isDatagram(options)) handle = this.#datagrams.open(fd, close);
    else handle = makeShared(kind, fd, accept, close);
    if (this.#rehearses && isInternet) showAddress(handle, bound);
    this.#served.set(listener, {
      listener,
      server,
      protocol: protocolOf(server),
      handle,
      kind,
      context: new EventContext(),
    });
    followServer(server, this.#connections);
    // The server emits 'listening' meanwhile, or in the next tick.
    emitThen(
      () => callback(0, handle),
      () => nextTick(hearListening, server, onListening),
    );
  }

  /** The handle of a server is closed. */
  #close(listener, { server, options, release }) {
    this.#served.delete(listener);
    release();
    const isAnswered = this.#lanes.closeListener(listener);
    // A program that sends datagrams until 'disconnect' must not find its socket closed in an earlier turn.
    // The primary emits its 'disconnect' when the address is free anyway.
    if (this.isLeaving && isDatagram(options)) return;
    if (isAnswered) this.#closing.set(listener, [deferClose(server)]);
  }

  /** Returns whether this worker takes the connection. */
  #onConnection(listener, fd) {
    const found = this.#served.get(listener);
    if (found === undefined || isFull(found.server)) {
      debug('worker %d returns a connection', this.#worker.id);
      return false;
    }
    debug('worker %d serves a connection', this.#worker.id);
    // What delivers it runs in the context of this worker's events.
    nextTick(serve, this.#connections, found, fd);
    return true;
  }

  /**
   * A connection from a socket that workers share; `fd` is a negated errno if it could not be accepted. Calls
   * back as a handle of Node's own does.
   */
  #onSharedConnection(listener, fd) {
    const served = this.#served.get(listener);
    const { handle, context } = served;
    if (fd < 0) context.runAgain(() => passConnection(handle, fd));
    else this.#connections.serveShared(served, fd, (pass) => context.runAgain(pass));
  }

  /** The engine has closed what it had of the listener. */
  #onClosed(listener) {
    const waiting = this.#closing.get(listener) ?? [];
    this.#closing.delete(listener);
    for (const callback of waiting) callback();
  }

  /** Whether this worker serves nothing. */
  get isEmpty() {
    return this.#served.size === 0;
  }

  /** Whether the engine has still to close a listener. */
  get isClosing() {
    return this.#closing.size > 0;
  }

  /** Goes on as if the engine had closed all that it has to. */
  endClosing() {
    for (const listener of this.#closing.keys()) this.#onClosed(listener);
  }

  /** Closes all servers. Calls back when they, and those that close already, have closed. */
  close(callback) {
    let waiting = 1;
    const onClosed = () => {
      waiting -= 1;
      if (waiting === 0) callback();
    };
    for (const callbacks of this.#closing.values()) {
      waiting += 1;
      callbacks.push(onClosed);
    }
    for (const { server } of this.#served.values()) {
      waiting += 1;
      closeServer(server, onClosed);
    }
    onClosed();
  }

  /** Closes all servers, without waiting. */
  closeAll() {
    for (const { server } of [...this.#served.values()]) server.close();
  }

  /** A function that returns whether the queries of this moment have been answered. */
  answeredCheck() {
    const asked = [...this.#queries.keys()];
    return () => !asked.some((seq) => this.#queries.has(seq));
  }
}

/** Tells servers with one address apart, each of which gets a port of its own by `listen(0)`. */
class Indexes {
  /** `{next, used}`, by address. */
  #entries = new Map();

  take(key) {
    if (!this.#entries.has(key)) this.#entries.set(key, { next: 0, used: new Set() });
    const entry = this.#entries.get(key);
    const index = entry.next;
    entry.next += 1;
    entry.used.add(index);
    return index;
  }

  release(key, index) {
    const entry = this.#entries.get(key);
    entry?.used.delete(index);
    if (entry?.used.size === 0) this.#entries.delete(key);
  }
}

/** The handle that a server has already; undefined if it has none. */
function ownHandle(server, options) {
  if (options.fd >= 0) return handleOfReceived(server, options.fd);
  return hasHandle(options) ? handleOf(server) : undefined;
}

/** The address that workers with another working directory would give. */
function addressOf(options) {
  const { address } = options;
  const isAbstract = typeof address === 'string' && address.startsWith('\0');
  return isPipe(options) && !isAbstract ? path.resolve(address) : address;
}

/** Our listener of 'listening' was not called if one before it has thrown. */
function hearListening(server, onListening) {
  if (!server.listeners('listening').includes(onListening) || !isListening(server)) return;
  server.removeListener('listening', onListening);
  onListening();
}

function isListening(server) {
  if (server instanceof net.Server) return server.listening;
  try {
    server.address();
    return true;
  } catch {
    return false;
  }
}

function serve(connections, served, fd) {
  connections.serve(served, fd);
}

/** Closes a server. Calls back once, after the other listeners of 'close', even if one of them throws. */
function closeServer(server, callback) {
  let isClosed = false;
  const closed = () => {
    if (!isClosed) callback();
    isClosed = true;
  };
  server.prependOnceListener('close', () => nextTick(closed));
  server.close(closed);
}

module.exports = Listeners;

'use strict';

// The `cluster` object of a worker. It takes the seat of the built-in one in this process, so that
// whatever server is started by whatever library is served by our engine.

const cluster = require('node:cluster');
const { closeSync } = require('node:fs');
const net = require('node:net');
const { EACCES } = require('node:os').constants.errno;
const path = require('node:path');
const { debuglog } = require('node:util');
const { WorkerLanes } = require('../addon/binding.js');
const { defineWorker, markPaused } = require('../define-worker.js');
const Channel = require('../ipc/channel.js');
const { refByListeners } = require('../node/channel.js');
const internal = require('../ipc/internal-messages.js');
const Connections = require('../node/connections.js');
const deferClose = require('./defer-close.js');
const emitThen = require('../emit-then.js');
const errors = require('../errors.js');
const EventContext = require('../event-context.js');
const { clearTimeout, nextTick, setTimeout } = require('../real-timers.js');
const handles = require('../ipc/handles.js');
const LoopRef = require('../loop-ref.js');
const builtin = require('../node/builtin.js');
const sockets = require('../node/sockets.js');

// Flags of libuv, as net and dgram pass them to _getServer.
const TCP_IPV6ONLY = 1;
const TCP_REUSEPORT = 2;
const UDP_IPV6ONLY = 1;
const UDP_REUSEADDR = 4;
const UDP_REUSEPORT = 8;

// How long after it has disconnected a worker says that it stays, in milliseconds.
const FAREWELL = 200;
/** How long a worker that leaves waits for answers to its queries, in milliseconds. */
const ANSWER_TIMEOUT = 200;

const LAST_PORT = 65535;
const LARGEST_BACKLOG = 2 ** 31 - 1;
// For any kernel; longer ones would not fit into a packet of the control socket.
const TOO_LONG_PATH = 4097;

const majorVersion = Number.parseInt(process.versions.node, 10);
// Until then, `maxConnections = 0` stands for no limit.
const ZERO_IS_A_LIMIT = majorVersion >= 22;
// The name that an abstract socket has in Node 20, for its clients, is as long as can be.
const PADS_ABSTRACT = majorVersion === 20;
const ABSTRACT_LENGTH = 108;
// Older permission models let everybody listen.
const ASKS_TO_LISTEN = majorVersion >= 25;

const { Act } = internal;
const debug = debuglog('cluster');

/** Makes this process a worker of the primary at the other end of these descriptors. */
function attach([messageLane, controlLane, connectionLane, memory], serialization) {
  const lanes = new WorkerLanes(messageLane, controlLane, connectionLane, memory);
  /** Servers that share an address, by listener; a faux or a shared handle each. */
  const served = new Map();
  /** What waits for the primary to have closed a listener that is closed here: calls, by listener. */
  const closing = new Map();
  /** Queries that the primary has not answered, by their number. */
  const queries = new Map();
  /** Tells several `listen(0)` apart: the indexes in use, by address. */
  const indexes = new Map();
  /** What waits for the primary to know that this worker leaves of its own accord. */
  const acknowledgements = [];
  /** What waits for answers to queries as well: `{isAnswered, callback, deadline}`. */
  const leaving = new Set();
  /** Whether the primary is to send a signal, if this worker does not end by itself. */
  let isKilled = false;
  /** Whether it ends once it has disconnected, as it has killed itself. Its state may say something else by then. */
  let isEnding = false;
  /** Whether the servers are being closed, and then the channel. */
  let isLeaving = false;
  /** Calls of `pause()` and `resume()` that the primary has not answered. */
  let unanswered = 0;

  const context = new EventContext();
  const connections = new Connections(() => lanes.connectionClosed());

  leaveBuiltin();
  const channel = new Channel(process, lanes.messageLane, {
    context,
    mode: serialization,
    refs: process.listenerCount('message') + process.listenerCount('disconnect'),
    onInternalMessage,
    onFault: (error) => process.emit('error', error),
    onClosed: onDisconnected,
    beforeDisconnect,
    isHeard,
  });
  refByListeners(channel.control);

  const Worker = defineWorker({
    disconnect() {
      if (this.state !== 'disconnecting' && this.state !== 'destroying') {
        this.state = 'disconnecting';
        disconnect(false);
      }
      return this;
    },
    destroy() {
      if (this.state === 'destroying') return;
      this.exitedAfterDisconnect = true;
      if (!this.isConnected()) process.exit(0);
      this.state = 'destroying';
      isEnding = true;
      announceDisconnect(() => process.disconnect());
    },
    tellPaused(isPaused) {
      unanswered += 1;
      channel.sendInternal(internal.setPaused(isPaused));
    },
  });
  const worker = new Worker({ id: takeId(), process, state: 'online' });
  const relay = process.listeners('message').at(-1);
  channel.deliverPendingTo(worker);
  builtin.replace(cluster, () => Object.assign(cluster, { worker, Worker, _getServer: getServer }));

  process.once('disconnect', onDisconnect);
  lanes.start(hearReply, onConnection, onSharedConnection, onClosed, (reason) =>
    channel.fail(reason),
  );
  channel.sendInternal(internal.online());

  function onDisconnect() {
    // It may outlive its primary now, unless that was about to kill it.
    if (!isKilled) lanes.standDown();
    emitThen(
      () => worker.emit('disconnect'),
      // The primary has exited, or died.
      () => worker.exitedAfterDisconnect || process.exit(0),
    );
  }

  /** The primary answers no more. Events that wait for that come first, because this process may end. */
  function beforeDisconnect(callback) {
    if (closing.size === 0) return callback();
    for (const listener of closing.keys()) onClosed(listener);
    nextTick(callback);
  }

  /** Called after 'disconnect'. A listener may have thrown before ours was called. */
  function onDisconnected() {
    // Does not hold the event loop, so it fires only if something else does.
    setTimeout(() => lanes.stays(), FAREWELL).unref();
    const end = () => isEnding && process.exit(0);
    if (!process.listeners('disconnect').includes(onDisconnect)) return end();
    process.removeListener('disconnect', onDisconnect);
    emitThen(onDisconnect, end);
  }

  /** Whether anybody listens to messages, apart from the worker for those who listen to it. */
  function isHeard() {
    const listeners = process.listenerCount('message');
    if (listeners !== 1) return listeners > 1;
    return worker.listenerCount('message') > 0 || process.listeners('message')[0] !== relay;
  }

  function onInternalMessage({ act, ...message }) {
    if (act === Act.DISCONNECT) disconnect(true);
    else if (act === Act.KILL) isKilled = true;
    else if (act === Act.ACKNOWLEDGED) acknowledgements.shift()?.();
    else if (act === Act.SET_PAUSED) onSetPaused(message);
  }

  /** The primary decides the order: until it has answered what was called here last, that counts. */
  function onSetPaused({ isPaused, isAnswer }) {
    if (isAnswer) unanswered -= 1;
    if (unanswered === 0) markPaused(worker, isPaused);
  }

  /** What `net.Server#listen` and `dgram.Socket#bind` call in a worker. */
  function getServer(server, options, callback) {
    const { addressType, fd, port } = options;
    let { address } = options;
    const denial = denialOf(options);
    if (denial !== undefined) {
      // Node's own datagram sockets emit it.
      if (!isDatagram(options)) throw denial;
      nextTick(callback, -EACCES);
      return;
    }
    const own = ownHandle(server, options);
    if (own !== undefined) {
      callback(0, own);
      return;
    }
    const isAbstract = typeof address === 'string' && address.startsWith('\0');
    if (isPipe(options) && !isAbstract) address = path.resolve(address);

    const indexesKey = [address, port, addressType, fd].join(':');
    const index = takeIndex(indexesKey);
    const data = server._getServerData?.();
    const query = toQuery(options, address, port === 0 ? index : 0);
    const seq = lanes.listen({ ...query, data: data && JSON.stringify(data) });
    let isReleased = false;
    const release = () => {
      isReleased = true;
      releaseIndex(indexesKey, index);
      // The server may try again, and is to tell once.
      server.removeListener('listening', onListening);
    };
    queries.set(seq, { server, options, release, callback, onListening });
    debug('worker %d asks for %s:%s', worker.id, address ?? '*', port);

    server.once('listening', onListening);

    function onListening() {
      // A listener that came before may have closed the server.
      if (isReleased) return;
      worker.state = 'listening';
      const bound = server.address();
      const listening = { address, port: bound?.port || port, addressType, fd };
      channel.sendInternal(internal.listening(listening));
    }
  }

  /** A message with a handle takes Node two ticks. */
  function hearReply(reply) {
    if (reply.fd === -1) context.nextTick(onReply, reply);
    else context.nextTick(() => context.nextTick(onReply, reply));
  }

  function onReply({ seq, errno, listener, fd, data, ...bound }) {
    const { server, options, release, callback, onListening } = queries.get(seq);
    queries.delete(seq);
    leaveIfAnswered();
    // The answer was on its way when this worker left: it serves nothing any more.
    if (!process.connected) {
      if (fd !== -1) closeSync(fd);
      if (errno === 0) lanes.closeListener(listener);
      release();
      return;
    }
    if (data !== undefined) takeServerData(server, JSON.parse(data));
    if (errno !== 0) {
      release();
      callback(errno, null);
      return;
    }
    const close = () => {
      served.delete(listener);
      release();
      const isAnswered = lanes.closeListener(listener);
      // What sends datagrams until 'disconnect' must not find its socket closed in an earlier turn. The
      // primary still emits its 'disconnect' when the address is free.
      if (isLeaving && isDatagram(options)) return;
      if (isAnswered) closing.set(listener, [deferClose(server)]);
    };
    const accept = (backlog) => lanes.accept(listener, fd, toBacklog(backlog));
    const isInternet = bound.port !== undefined;
    const kind = isInternet ? 'tcp' : 'pipe';
    let handle;
    if (fd === -1) handle = fauxHandle(isInternet ? bound : null, close);
    else if (isDatagram(options)) handle = afterClose(sockets.datagram(fd), close);
    else handle = sharedHandle(kind, fd, accept, close);
    served.set(listener, { server, handle, kind, context: new EventContext() });
    // 'listening' is emitted meanwhile, or in the next tick.
    emitThen(
      () => callback(0, handle),
      () => nextTick(hearListening, server, onListening),
    );
  }

  /** Returns whether the connection is ours now. */
  function onConnection(listener, fd) {
    const found = served.get(listener);
    if (found === undefined || isFull(found.server)) {
      debug('worker %d returns a connection', worker.id);
      return false;
    }
    debug('worker %d serves a connection', worker.id);
    context.nextTick(serve, found, fd);
    return true;
  }

  /** Calls back as a handle of Node's own does. Instead of a descriptor there may be a negated errno. */
  function onSharedConnection(listener, fd) {
    const { handle, kind, context: own } = served.get(listener);
    if (fd < 0) {
      own.runAgain(() => handle.onconnection(fd));
      return;
    }
    // The context of the listening socket is not that of the connection.
    const connection = sockets.stream(kind, fd);
    own.runAgain(() => handle.onconnection(0, connection));
  }

  function serve({ handle, kind }, fd) {
    const connection = connections.open(kind, fd);
    let isServed = false;
    try {
      handle.onconnection(0, connection);
      isServed = true;
    } finally {
      // A listener threw. As in Node the socket stays open, perhaps for ever; but it is no load.
      if (!isServed) connections.release(connection);
    }
  }

  /** What only this worker had of the listener is closed in the primary. */
  function onClosed(listener) {
    const waiting = closing.get(listener) ?? [];
    closing.delete(listener);
    for (const callback of waiting) callback();
  }

  function takeIndex(key) {
    if (!indexes.has(key)) indexes.set(key, { next: 0, used: new Set() });
    const entry = indexes.get(key);
    const index = entry.next;
    entry.next += 1;
    entry.used.add(index);
    return index;
  }

  function releaseIndex(key, index) {
    const entry = indexes.get(key);
    entry?.used.delete(index);
    if (entry?.used.size === 0) indexes.delete(key);
  }

  /** Has the primary know that the disconnect to come is meant, then calls back. */
  function announceDisconnect(callback) {
    const asked = [...queries.keys()];
    const isAnswered = () => !asked.some((seq) => queries.has(seq));
    acknowledgements.push(() => {
      if (isAnswered()) {
        callback();
        return;
      }
      // The engine may have heard of the leave first, and then answers no query.
      const wait = { isAnswered, callback };
      wait.deadline = setTimeout(endWait, ANSWER_TIMEOUT, wait);
      leaving.add(wait);
    });
    channel.sendInternal(internal.exitedAfterDisconnect());
  }

  /** In Node the answers to earlier queries come before the acknowledgement, on the same channel. */
  function leaveIfAnswered() {
    for (const wait of leaving) {
      // Behind 'listening', which the answer leads to in the next tick.
      if (wait.isAnswered()) nextTick(nextTick, endWait, wait);
    }
  }

  function endWait(wait) {
    if (!leaving.delete(wait)) return;
    clearTimeout(wait.deadline);
    wait.callback();
  }

  /** Closes the servers, waits for them, and closes the channel. */
  function disconnect(isAsked) {
    isLeaving = true;
    worker.exitedAfterDisconnect = true;
    const disconnectNow = () => {
      if (process.connected) process.disconnect();
    };
    const leave = () => {
      if (!process.connected) return;
      if (served.size === 0) return disconnectNow();
      // Those that have come to listen meanwhile would keep the process running, and their addresses. Their
      // 'listening' comes in the next tick.
      nextTick(nextTick, () => {
        for (const { server } of [...served.values()]) server.close();
        disconnectNow();
      });
    };
    let waiting = 1;
    const closed = () => {
      waiting -= 1;
      if (waiting > 0) return;
      if (isAsked) leave();
      else announceDisconnect(leave);
    };
    for (const callbacks of closing.values()) {
      waiting += 1;
      callbacks.push(closed);
    }
    for (const { server } of served.values()) {
      waiting += 1;
      closeServer(server, closed);
    }
    closed();
  }
}

/** A listener of 'listening' that came before ours has thrown, so that ours was not called. */
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

/** Calls back once at the server's 'close', after its other listeners, or although one throws. */
function closeServer(server, callback) {
  let isClosed = false;
  const closed = () => {
    if (!isClosed) callback();
    isClosed = true;
  };
  server.prependOnceListener('close', () => nextTick(closed));
  server.close(closed);
}

/** What another worker's server offers. One that can't use it does without. */
function takeServerData(server, data) {
  try {
    server._setServerData?.(data);
  } catch (error) {
    process.emitWarning(`a worker offers what a server can't use: ${error.message}`);
  }
}

/** As Node does it for its own servers: the engine would not ask. */
function denialOf(options) {
  if (!ASKS_TO_LISTEN || process.permission?.has('net') !== false) return undefined;
  return errors.accessDenied('Net', '--allow-net', isPipe(options) ? options.address : '');
}

function isDatagram({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/**
 * Node has already made this process a worker of its own cluster module, by NODE_UNIQUE_ID, with
 * listeners on `process`. They are the first of their events, as Node adds them before any user's
 * code runs.
 */
function leaveBuiltin() {
  for (const event of ['error', 'message', 'disconnect', 'internalMessage']) {
    const [builtin] = process.rawListeners(event);
    if (builtin !== undefined) process.removeListener(event, builtin);
  }
}

/** Node makes no `cluster.worker` of a process that reads its program from its input (`exec: ''`). */
function takeId() {
  const id = cluster.worker?.id ?? Number(process.env.NODE_UNIQUE_ID);
  delete process.env.NODE_UNIQUE_ID;
  return id;
}

/** The handle that a server has already. Node 18 asks about `listen(handle)`, newer ones do not. */
function ownHandle(server, { address, port, fd }) {
  if (fd >= 0) return handles.handleOfReceived(server, fd);
  return address === null && port === -1 ? server._handle : undefined;
}

function isPipe({ addressType, address }) {
  return addressType === -1 && typeof address === 'string';
}

function kernelPath(address) {
  if (!address.startsWith('\0') || !PADS_ABSTRACT) return address.slice(0, TOO_LONG_PATH);
  return address + '\0'.repeat(Math.max(ABSTRACT_LENGTH - Buffer.byteLength(address), 0));
}

/** The number that V8 makes of any value. Of a negative one, listen(2) makes the largest. */
function toBacklog(value) {
  const backlog = Number(value) || 0;
  return backlog < 0 ? LARGEST_BACKLOG : backlog;
}

function toQuery(options, address, index) {
  const { addressType, port, fd, backlog, flags, readableAll, writableAll } = options;
  const udp = { udp4: 4, udp6: 6 }[addressType];
  const isSet = (flag) => (flags & flag) !== 0;
  return {
    address: address ?? undefined,
    // The port of a datagram socket has not been checked: this is what libuv makes of it.
    port: udp ? port & LAST_PORT : Math.max(port, 0),
    path: isPipe(options) ? kernelPath(address) : undefined,
    fd: fd >= 0 ? fd : undefined,
    udp,
    backlog: toBacklog(backlog),
    ipv6Only: isSet(udp ? UDP_IPV6ONLY : TCP_IPV6ONLY),
    reuseAddress: udp !== undefined && isSet(UDP_REUSEADDR),
    reusePort: isSet(udp ? UDP_REUSEPORT : TCP_REUSEPORT),
    readableAll: readableAll === true,
    writableAll: writableAll === true,
    index,
  };
}

/** Stands for the listening socket, which is the primary's. Holds the event loop as it would. */
function fauxHandle(bound, onClose) {
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
  return keepLoopOpen(handle, onClose);
}

/**
 * The listening socket itself, from which all workers accept, but not by this handle: libuv closes the
 * connections for which a process has no descriptor.
 *
 * @param {(backlog: number) => number} accept starts to, and returns 0 or a negated errno
 */
function sharedHandle(kind, fd, accept, onClose) {
  const handle = Object.assign(sockets.stream(kind, fd), { listen: accept });
  return keepLoopOpen(handle, onClose);
}

/** Has a handle hold the event loop open, as one of libuv that listens does. Returns the handle. */
function keepLoopOpen(handle, onClose) {
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

/** Whether another worker had better serve the connection. */
function isFull({ maxConnections, _connections, dropMaxConnection }) {
  const isLimited = ZERO_IS_A_LIMIT ? maxConnections != null : Boolean(maxConnections);
  return isLimited && _connections >= maxConnections && !dropMaxConnection;
}

module.exports = attach;

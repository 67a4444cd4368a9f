'use strict';

// Makes this process a worker. The built-in cluster module is replaced, so that every server is served by
// our engine, whichever library starts it.

const cluster = require('node:cluster');
const net = require('node:net');
const { WorkerLanes } = require('../addon/binding.js');
const { defineWorker, markPaused } = require('../define-worker.js');
const errors = require('../errors.js');
const EventContext = require('../event-context.js');
const Channel = require('../ipc/channel.js');
const { Act, online, setPaused } = require('../ipc/internal-messages.js');
const builtin = require('../node/builtin.js');
const { refByListeners } = require('../node/channel.js');
const Drain = require('./drain.js');
const Leaving = require('./leaving.js');
const Listeners = require('./listeners.js');
const Reports = require('./reports.js');

/**
 * Makes this process a worker of the primary that has the other ends of these descriptors.
 *
 * @param {object} [supervised] what a worker under supervision has to tell; see `Reports`
 */
function attach([ipcFd, controlFd, connectionFd, memory, watchdog], serialization, supervised) {
  const lanes = new WorkerLanes(ipcFd, controlFd, connectionFd, memory, watchdog);
  const context = new EventContext();
  builtin.removeListeners();
  const channel = new Channel(process, lanes.ipcChannel, {
    context,
    mode: serialization,
    refs: process.listenerCount('message') + process.listenerCount('disconnect'),
    onInternalMessage,
    onFault: (error) => process.emit('error', error),
    beforeDisconnect: (callback) => leaving.beforeDisconnect(callback),
    onClosed: () => leaving.onDisconnected(),
    isHeard,
    isTrusted: true,
  });
  refByListeners(channel.control);

  /** Calls of `pause()` and `resume()` here that the primary has not answered. */
  let unanswered = 0;
  const Worker = defineWorker({
    disconnect() {
      leaving.disconnect(this);
      return this;
    },
    destroy() {
      leaving.destroy(this);
    },
    tellPaused(isPaused) {
      unanswered += 1;
      channel.sendInternal(setPaused(isPaused));
    },
    own: { pin, ready },
  });
  const worker = new Worker({ id: builtin.takeId(cluster), process, state: 'online' });
  const relay = process.listeners('message').at(-1);
  channel.deliverPendingTo(worker);
  const rehearses = supervised?.rehearses ?? false;
  if (rehearses) require('./rehearsal.js')();
  const listeners = new Listeners({ lanes, channel, context, worker, rehearses });
  const leaving = new Leaving({ lanes, channel, listeners, worker });
  const drain = new Drain({
    lanes,
    connections: listeners.connections,
    context,
    worker,
    disconnect: () => leaving.disconnect(worker),
  });
  const reports = supervised && new Reports(lanes, listeners.connections, supervised);
  builtin.replaceInWorker(cluster, { worker, Worker, getServer, supervise });
  leaving.start();
  listeners.start((order) => drain.order(order));
  channel.sendInternal(online());

  function getServer(server, options, callback) {
    listeners.listen(server, options, callback);
  }

  function supervise() {
    throw errors.supervisedInWorker();
  }

  function pin(socket) {
    if (!(socket instanceof net.Socket)) {
      throw errors.invalidArgType('socket', 'an instance of net.Socket', socket);
    }
    listeners.pin(socket);
  }

  function ready() {
    reports?.ready();
  }

  function onInternalMessage({ act, isPaused, isAnswer }) {
    if (act === Act.DISCONNECT) leaving.disconnectAsAsked();
    else if (act === Act.KILL) leaving.isKilled = true;
    else if (act === Act.ACKNOWLEDGED) leaving.onAcknowledged();
    else if (act === Act.SET_PAUSED) onSetPaused(isPaused, isAnswer);
  }

  /**
   * The primary decides the order of calls. Until it has answered the last one made here, that one counts.
   */
  function onSetPaused(isPaused, isAnswer) {
    if (isAnswer) unanswered -= 1;
    if (unanswered === 0) markPaused(worker, isPaused);
  }

  /** Whether 'message' has a listener, on `process` or on the worker, which itself listens to `process`. */
  function isHeard() {
    const count = process.listenerCount('message');
    if (count !== 1) return count > 1;
    return worker.listenerCount('message') > 0 || process.listeners('message')[0] !== relay;
  }
}

module.exports = attach;

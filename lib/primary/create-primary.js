'use strict';

const EventEmitter = require('node:events');
const { signals } = require('node:os').constants;
const { debuglog, getSystemErrorMap } = require('node:util');
const { runInThisContext } = require('node:vm');
const { Engine } = require('../addon/binding.js');
const { defineWorker, markPaused } = require('../define-worker.js');
const EventContext = require('../event-context.js');
const { nextTick } = require('../real-timers.js');
const LoopRef = require('../loop-ref.js');
const internal = require('../ipc/internal-messages.js');
const Kills = require('./kills.js');
const errors = require('../errors.js');
const { mergeSettings, InspectPorts } = require('./settings.js');

// As src/primary/engine.rs numbers them.
const POLICIES = {
  SCHED_NONE: 1,
  SCHED_RR: 2,
  SCHED_LEAST_CONNECTIONS: 3,
  SCHED_SOURCE_HASH: 4,
  SCHED_REUSEPORT: 5,
};
// Of NODE_CLUSTER_SCHED_POLICY.
const POLICY_NAMES = new Map([
  ['none', POLICIES.SCHED_NONE],
  ['rr', POLICIES.SCHED_RR],
  ['least-connections', POLICIES.SCHED_LEAST_CONNECTIONS],
  ['source-hash', POLICIES.SCHED_SOURCE_HASH],
  ['reuseport', POLICIES.SCHED_REUSEPORT],
]);
const KILL_MODES = ['graceful', 'immediate'];
/** Settings by the names that they had before the first release. */
const RENAMED_SETTINGS = [['holdTimeout', 'queueTimeout']];
const DEFAULT_TIMEOUT = 5000;
const LONGEST_TIMEOUT = 2 ** 31 - 1;

const UNLOADED =
  "it has exited without loading rs-cluster's preload.js: can its user read that file, and does " +
  'Node allow it (--allow-fs-read)?';

const { Act } = internal;
const debug = debuglog('cluster');
// A test runner may have put another one in its place.
const realProcess = runInThisContext('process');

/**
 * Makes an object the `cluster` object of a primary, with an engine of its own.
 *
 * @param {EventEmitter} cluster
 * @param {object} defaults
 * @param {'graceful' | 'immediate'} defaults.killMode where the settings name none
 */
function createPrimary(cluster = new EventEmitter(), defaults = { killMode: 'graceful' }) {
  const inspectPorts = new InspectPorts();
  /** @type {Map<number, WorkerProcess>} processes that have not exited, by worker id */
  const processes = new Map();
  /** Workers that have not been heard of, by id. */
  const starting = new Map();
  /** @type {Map<number, WorkerProcess>} those whose channel is open, by worker id */
  const connected = new Map();
  const kills = new Kills();
  /** Workers that have been asked to disconnect. */
  const disconnecting = new WeakSet();
  /** Workers that broke the protocol. */
  const faulty = new WeakSet();
  const disconnection = new Disconnection((token) => engine().settle(token));
  let made;
  const engine = () => {
    made ??= new Engine(weakly(onEngineEvent));
    return made;
  };
  /** Why workers could not load the engine; each is told once. */
  const knownReasons = new Set();
  let lastId = 0;
  /** Whether the engine runs. */
  let isStarted = false;
  /** Set by the first `setupPrimary()`, unchanging then. */
  let policy;

  const Worker = defineWorker({ disconnect, destroy, tellPaused });

  Object.assign(cluster, {
    isWorker: false,
    isMaster: true,
    isPrimary: true,
    Worker,
    workers: {},
    settings: {},
    ...POLICIES,
    schedulingPolicy: POLICY_NAMES.get(process.env.NODE_CLUSTER_SCHED_POLICY) ?? POLICIES.SCHED_RR,
    setupPrimary,
    setupMaster: setupPrimary,
    fork,
    disconnect: disconnectAll,
    stats,
  });

  // Soon, so that loading takes no longer than it must; but not by fork(), when there may be no
  // descriptor left to load anything by, and when `jest --detectOpenHandles` would take the engine,
  // which holds nothing open and stays, for something that a test has left open. What fails here fails
  // in fork() again. Threads inherit `--require rs-cluster/register`, and hardly ever fork.
  Promise.resolve()
    .then(() => {
      if (!require('node:worker_threads').isMainThread) return;
      engine();
      loadWorkerProcess();
    })
    .catch(() => {});
  // The program may drop the permission to read more, and fork nevertheless.
  if (process.permission?.drop !== undefined) loadWorkerProcess();

  function setupPrimary(options) {
    const settings = mergeSettings(cluster.settings, options);
    const { killMode, ...timeouts } = ownSettings(defaults, settings);
    for (const [name, newName] of RENAMED_SETTINGS) {
      if (settings[name] === undefined) continue;
      const reason = `has been renamed to settings.${newName}`;
      throw errors.invalidArgValue(`settings.${name}`, settings[name], reason);
    }
    if (!KILL_MODES.includes(killMode)) {
      const reason = `must be one of: 'graceful', 'immediate'`;
      throw errors.invalidArgValue('settings.killMode', killMode, reason);
    }
    for (const [name, timeout] of Object.entries(timeouts)) {
      if (!(Number.isInteger(timeout) && timeout >= 0 && timeout <= LONGEST_TIMEOUT)) {
        const reason = `must be a whole number from 0 to ${LONGEST_TIMEOUT}`;
        throw errors.invalidArgValue(`settings.${name}`, timeout, reason);
      }
    }
    if (policy === undefined) {
      const chosen = cluster.schedulingPolicy;
      if (!Object.values(POLICIES).includes(chosen)) {
        throw errors.internalAssertion(`Bad cluster.schedulingPolicy: ${chosen}`);
      }
      policy = chosen;
    }
    cluster.settings = settings;
    nextTick(() => cluster.emit('setup', settings));
  }

  /** Node says so when the inspector of this process is started, by SIGUSR1 or `inspector.open()`. */
  function onDebugEnabled({ cmd }) {
    if (cmd !== 'NODE_DEBUG_ENABLED') return;
    for (const worker of Object.values(cluster.workers)) {
      const enable = () => processes.get(worker.id)?.enableInspector();
      if (worker.state === 'online' || worker.state === 'listening') enable();
      // Before that, the signal could end it.
      else worker.once('online', enable);
    }
  }

  function fork(env) {
    const Process = loadWorkerProcess();
    cluster.setupPrimary();
    // Used up even if the fork throws, as in Node.
    lastId += 1;
    const id = lastId;
    const workerEnv = { ...process.env, ...env, NODE_UNIQUE_ID: `${id}` };
    const execArgv = inspectPorts.complete([...cluster.settings.execArgv], cluster.settings);
    const { queueTimeout } = ownSettings(defaults, cluster.settings);
    const failure = engine().start(policy, debug.enabled) ?? undefined;
    isStarted ||= failure === undefined;
    const settings = { ...cluster.settings, execArgv, queueTimeout, failure };
    const workerProcess = new Process(engine(), id, settings, workerEnv, {
      onInternalMessage: (message) => onInternalMessage(worker, message),
      onFault: (error) => onFault(worker, error),
      // In place of listeners of 'disconnect' and 'exit', which others that throw would suppress.
      onDisconnected: () => disconnected(worker),
      onExiting: (code) => onExiting(worker, code),
      onExited: () => exited(worker),
    });
    const worker = new Worker({ id, process: workerProcess.child });
    worker.on('message', function onMessage(message, handle) {
      cluster.emit('message', this, message, handle);
    });
    cluster.workers[id] = worker;
    if (workerProcess.hasChannel) {
      connected.set(id, workerProcess);
      worker.process.once('disconnect', () => onDisconnect(worker));
    }
    if (workerProcess.isStarted) {
      if (processes.size === 0) realProcess.on('internalMessage', onDebugEnabled);
      processes.set(id, workerProcess);
      starting.set(id, worker);
      worker.process.once('exit', (code, signal) => onExit(worker, code, signal));
    } else {
      // Its 'error' comes on the next tick; there will be no 'exit'.
      worker.process.prependOnceListener('error', () => exited(worker));
    }
    nextTick(() => cluster.emit('fork', worker));
    return worker;
  }

  /** The process has ended, and all that the worker has said is heard; 'exit' is next. */
  function onExiting(worker, code) {
    const { hasLeft } = processes.get(worker.id);
    const isUnheard = starting.delete(worker.id) && !hasLeft;
    // Node ends like this when it can't find, or read, what it is to load first.
    if (isUnheard && code === 1) onUnable(worker, UNLOADED);
  }

  function onExit(worker, code, signal) {
    debug('worker %d exited: code %s, signal %s', worker.id, code, signal);
    exited(worker);
    worker.emit('exit', code, signal);
    cluster.emit('exit', worker, code, signal);
  }

  /**
   * Called by the listener of 'exit', or of the 'error' of a process that could not be started, and
   * again after it: a listener before it may throw.
   */
  function exited(worker) {
    if (worker.state === 'dead') return;
    if (processes.delete(worker.id)) {
      if (processes.size === 0) realProcess.removeListener('internalMessage', onDebugEnabled);
      worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    }
    kills.forget(worker.id);
    if (!worker.isConnected()) delete cluster.workers[worker.id];
    worker.state = 'dead';
  }

  function onDisconnect(worker) {
    debug('worker %d disconnected', worker.id);
    disconnected(worker);
    worker.emit('disconnect');
    cluster.emit('disconnect', worker);
  }

  /** Called by the listener of 'disconnect', and again after it: a listener before it may throw. */
  function disconnected(worker) {
    const workerProcess = connected.get(worker.id);
    if (!connected.delete(worker.id)) return;
    if (worker.isDead()) delete cluster.workers[worker.id];
    worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    worker.state = 'disconnected';
    if (connected.size === 0) disconnection.settle(workerProcess.context);
  }

  /** The worker broke the protocol; its channel is closed, so it exits. */
  function onFault(worker, error) {
    faulty.add(worker);
    // One odd worker must not bring the primary down, as an unheard 'error' would.
    if (!isHeard(worker)) {
      process.emitWarning(`worker ${worker.id}: ${error.message}`, { code: error.code });
      return;
    }
    const hear = () => {};
    worker.on('error', hear);
    try {
      worker.process.emit('error', error);
    } finally {
      worker.removeListener('error', hear);
    }
  }

  /** Whether a fault has a listener, on the worker or on its process. */
  function isHeard(worker) {
    // The worker itself listens to its process.
    return worker.listenerCount('error') > 0 || worker.process.listenerCount('error') > 1;
  }

  /** The worker exits, because it can't load the engine. So will the next one. */
  function onUnable(worker, reason) {
    starting.delete(worker.id);
    const isNew = !knownReasons.has(reason);
    knownReasons.add(reason);
    if (isHeard(worker) || isNew) onFault(worker, errors.notLoaded(reason));
  }

  function disconnectAll(callback) {
    const once = typeof callback === 'function' ? callback : () => {};
    // Without a fork that has started it, the engine has nothing to close.
    if (!isStarted && connected.size === 0) return void nextTick(once);
    disconnection.once(once);
    if (connected.size === 0) disconnection.settle(new EventContext());
    for (const worker of Object.values(cluster.workers)) {
      if (worker.isConnected()) worker.disconnect();
    }
  }

  /** Of a Worker. */
  function disconnect() {
    this.exitedAfterDisconnect = true;
    disconnecting.add(this);
    processes.get(this.id)?.sendInternal(internal.disconnect());
    engine().retire(this.id);
    delete cluster.workers[this.id];
    return this;
  }

  /** Of a Worker, which is told, so that `isPaused()` is the same at both ends. */
  function tellPaused(isPaused) {
    applyPaused(this, isPaused);
    processes.get(this.id)?.sendInternal(internal.setPaused(isPaused));
  }

  function applyPaused({ id }, isPaused) {
    if (isPaused) engine().pause(id);
    else engine().resume(id);
  }

  /** Of a Worker. */
  function destroy(signo) {
    const signal = signo || 'SIGTERM';
    const { killMode, killTimeout } = ownSettings(defaults, cluster.settings);
    const workerProcess = processes.get(this.id);
    if (killMode === 'immediate' || workerProcess?.refusesSignals) {
      this.process.kill(signal);
      return;
    }
    if (!isSignal(signal)) throw errors.unknownSignal(signal);
    this.exitedAfterDisconnect ??= true;
    if (workerProcess === undefined || faulty.has(this) || isSigkill(signal)) {
      this.process.kill(signal);
      return;
    }
    kills.begin(this, signal, killTimeout);
    // It ends with this process, even if that is killed before it has sent the signal.
    workerProcess.sendInternal(internal.kill());
    if (!disconnecting.has(this)) this.disconnect();
  }

  function stats() {
    const { listeners, workers } = engine().stats();
    const flat = ({ counts, ...rest }) => ({ ...rest, ...counts });
    return {
      listeners: listeners.map(flat),
      workers: Object.fromEntries(workers.map(({ id, ...rest }) => [id, flat(rest)])),
    };
  }

  /** What the worker's cluster module says, in order with its messages. */
  function onInternalMessage(worker, { act, ...message }) {
    switch (act) {
      case Act.ONLINE:
        if (!starting.delete(worker.id)) {
          processes.get(worker.id)?.fail('the IPC channel says twice that the worker is online');
          break;
        }
        debug('worker %d online, pid %d', worker.id, worker.process.pid);
        worker.state = 'online';
        worker.emit('online');
        cluster.emit('online', worker);
        break;
      case Act.LISTENING: {
        const { addressType, address, port, fd } = message;
        const info = { addressType, address, port, fd };
        debug('worker %d listening on %s:%s', worker.id, address ?? '*', port);
        worker.state = 'listening';
        worker.emit('listening', info);
        cluster.emit('listening', worker, info);
        break;
      }
      case Act.SET_PAUSED: {
        const isPaused = message.isPaused === true;
        markPaused(worker, isPaused);
        applyPaused(worker, isPaused);
        processes.get(worker.id)?.answer(internal.setPausedAnswer(isPaused));
        break;
      }
      case Act.EXITED_AFTER_DISCONNECT:
        worker.exitedAfterDisconnect = true;
        engine().retire(worker.id);
        processes.get(worker.id)?.answer(internal.acknowledged());
        break;
      default:
        processes
          .get(worker.id)
          ?.fail(`the IPC channel carries an unknown internal message: ${act}`);
    }
  }

  function onEngineEvent({ kind, id, code, signal, reason }) {
    if (kind === 'exited') processes.get(id)?.exited(code, signal);
    else if (kind === 'staying') kills.stays(id);
    else if (kind === 'left') processes.get(id)?.left();
    else if (kind === 'faulted') processes.get(id)?.fail(reason);
    else if (kind === 'unable' && starting.has(id))
      processes.get(id).context.nextTick(onUnable, starting.get(id), reason);
    else if (kind === 'unable')
      processes.get(id)?.fail('it has loaded the engine, and says that it can not');
    else if (kind === 'unaccepted') warnOfWaiting(reason, code);
    else disconnection.settled(id);
  }

  return cluster;
}

/** The kernel has no descriptor, or no memory, for another connection. */
function warnOfWaiting(address, errno) {
  const [code, why] = getSystemErrorMap().get(errno) ?? [`${errno}`, 'unknown error'];
  const waits = `connections to ${address} wait until they can be accepted: ${why}`;
  process.emitWarning(waits, { type: 'ConnectionsWaitWarning', code });
}

let WorkerProcess;

/** Half of what there is to load. Once, even if the module registry is reset meanwhile. */
function loadWorkerProcess() {
  WorkerProcess ??= require('../process/worker-process.js');
  return WorkerProcess;
}

/**
 * Calls `handler` as long as it is there. The engine would hold it, and with it all globals of a test
 * file that is over, for ever; so the function that is held must be none of those globals either.
 */
const weakly = runInThisContext(`(handler) => {
  const held = new WeakRef(handler);
  return (event) => held.deref()?.(event);
}`);

/** Not part of the defaults that `cluster.settings` shows: those are Node's. */
function ownSettings(defaults, settings) {
  const { killMode, killTimeout, queueTimeout } = settings;
  return {
    killMode: killMode === undefined ? defaults.killMode : killMode,
    killTimeout: killTimeout === undefined ? DEFAULT_TIMEOUT : killTimeout,
    queueTimeout: queueTimeout === undefined ? DEFAULT_TIMEOUT : queueTimeout,
  };
}

function isSignal(signal) {
  if (typeof signal === 'number') return Object.values(signals).includes(signal);
  return typeof signal === 'string' && Object.hasOwn(signals, signal.toUpperCase());
}

function isSigkill(signal) {
  return signal === signals.SIGKILL || `${signal}`.toUpperCase() === 'SIGKILL';
}

/** The callbacks of `cluster.disconnect()`, called when the engine has closed all listeners. */
class Disconnection {
  #ask;
  /** Of workers that are still connected. */
  #waiting = [];
  /** Of those that the engine has been asked about, by token. */
  #asked = new Map();
  #token = 0;
  #loopRef = new LoopRef();

  /** `ask(token)` has the engine call back `settled(token)`. */
  constructor(ask) {
    this.#ask = ask;
  }

  once(callback) {
    this.#waiting.push(callback);
  }

  /** No worker is connected any more. The callbacks are called in that context. */
  settle(context) {
    if (this.#waiting.length === 0) return;
    this.#token += 1;
    this.#asked.set(this.#token, { context, callbacks: this.#waiting.splice(0) });
    // Otherwise the primary might end before the answer.
    this.#loopRef.ref();
    this.#ask(this.#token);
  }

  settled(token) {
    const { context, callbacks } = this.#asked.get(token);
    this.#asked.delete(token);
    if (this.#asked.size === 0) this.#loopRef.unref();
    // Each in a tick of its own, so that one that throws does not stop the others.
    for (const callback of callbacks) context.nextTick(callback);
  }
}

module.exports = createPrimary;

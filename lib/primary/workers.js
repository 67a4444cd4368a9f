'use strict';

const { debuglog, getSystemErrorMap } = require('node:util');
const { markDraining } = require('../define-worker.js');
const errors = require('../errors.js');
const EventContext = require('../event-context.js');
const internal = require('../ipc/internal-messages.js');
const { environmentOf } = require('../node/builtin.js');
const { InspectPorts, InspectorWatch } = require('../node/inspector.js');
const spawnRequest = require('../process/spawn-request.js');
const WorkerProcess = require('../process/worker-process.js');
const { nextTick } = require('../real-timers.js');
const { Drains, checkDrain } = require('./drains.js');
const Faults = require('./faults.js');
const { Kills, isSigkill, isSignal } = require('./kills.js');
const { ownSettings } = require('./settings.js');
const Shutdown = require('./shutdown.js');
const WorkerMessages = require('./worker-messages.js');

const debug = debuglog('cluster');

/** The workers of a primary: starts them, emits their events, and ends them. */
class Workers {
  #cluster;
  #Worker;
  #engine;
  #defaults;
  /** @type {Map<number, WorkerProcess>} those that have not exited, by worker id */
  #processes = new Map();
  /** Workers that have not sent anything, by id. */
  #starting = new Map();
  /** @type {Map<number, WorkerProcess>} those with an open channel, by worker id */
  #connected = new Map();
  /** Workers that have been asked to disconnect. */
  #disconnecting = new WeakSet();
  #faults = new Faults();
  #kills = new Kills();
  #drains = new Drains();
  #shutdown;
  #messages;
  #inspectPorts = new InspectPorts();
  #inspectorWatch = new InspectorWatch(() => this.#enableInspectors());
  /** Undefined until `supervise()` is called: most primaries need none of it. */
  #supervision;
  /** Whether a fork has started the engine. */
  #isStarted = false;

  /** @param {() => Engine} engine */
  constructor(cluster, { Worker, markPaused }, engine, defaults) {
    this.#cluster = cluster;
    this.#Worker = Worker;
    this.#engine = engine;
    this.#defaults = defaults;
    this.#shutdown = new Shutdown((token) => engine().barrier(token));
    this.#messages = new WorkerMessages(cluster, engine, this, markPaused);
  }

  /** `cluster.fork()`. */
  fork(env, policy) {
    const cluster = this.#cluster;
    const engine = this.#engine();
    // Used up even if the fork throws, as in Node.
    const id = engine.nextId();
    const workerEnv = environmentOf(id, env);
    const execArgv = this.#inspectPorts.complete([...cluster.settings.execArgv], cluster.settings);
    const { queueTimeout } = ownSettings(cluster.settings, this.#defaults);
    const failure = this.#start(policy);
    const request = spawnRequest({ ...cluster.settings, execArgv, queueTimeout }, workerEnv);
    return this.#makeWorker(id, request, { failure });
  }

  /** `cluster.supervise()`, with options that have been checked. */
  supervise(options, policy) {
    if (this.#supervision !== undefined) throw errors.supervisedTwice();
    const failure = this.#start(policy);
    if (failure !== undefined) throw errors.errnoException(failure.errno, failure.syscall);
    this.load();
    const Supervision = require('./supervision.js');
    const supervision = new Supervision(this.#engine, {
      adopt: (id, request, started) => this.#adopt(id, request, started),
      kill: (pids) => this.#killAll(pids),
      markDraining: markLeaving,
      workerOf: (id) => this.#cluster.workers[id],
    });
    const supervisor = supervision.start(options, this.#defaults);
    this.#supervision = supervision;
    return supervisor;
  }

  /** Loads what `fork()` would otherwise load when it has started a process. */
  load() {
    WorkerProcess.load();
  }

  /** Starts the engine. Returns why it can't be started. */
  #start(policy) {
    // For tests.
    const period = Number(process.env.RS_CLUSTER_TICKET_KEY_PERIOD) || undefined;
    const failure = this.#engine().start(policy, debug.enabled, period) ?? undefined;
    this.#isStarted ||= failure === undefined;
    return failure;
  }

  /** @param {object} result what is known of the process; see `EngineProcess` */
  #makeWorker(id, request, result) {
    const cluster = this.#cluster;
    const workerProcess = new WorkerProcess(this.#engine(), id, request, result, {
      onInternalMessage: (message) => this.#messages.receive(worker, message),
      onFault: (error) => this.#faults.report(worker, error),
      // In addition to listeners of 'disconnect' and 'exit': one that throws suppresses those after it.
      onDisconnected: () => this.#disconnected(worker),
      onExiting: (code) => this.#onExiting(worker, code),
      onExited: () => this.#exited(worker),
    });
    const worker = new this.#Worker({ id, process: workerProcess.child });
    worker.on('message', function onMessage(message, handle) {
      cluster.emit('message', this, message, handle);
    });
    cluster.workers[id] = worker;
    if (workerProcess.hasChannel) {
      this.#connected.set(id, workerProcess);
      worker.process.once('disconnect', () => this.#onDisconnect(worker));
    }
    if (workerProcess.isStarted) {
      if (this.#processes.size === 0) this.#inspectorWatch.start();
      this.#processes.set(id, workerProcess);
      this.#starting.set(id, worker);
      worker.process.once('exit', (code, signal) => this.#onExit(worker, code, signal));
    } else {
      // Its 'error' comes on the next tick; there will be no 'exit'.
      worker.process.prependOnceListener('error', () => this.#exited(worker));
    }
    nextTick(() => cluster.emit('fork', worker));
    return worker;
  }

  /** A worker that the engine has started. */
  #adopt(id, request, started) {
    return this.#makeWorker(id, request, { started });
  }

  /** The program itself, or the worker's, ends this worker. */
  leaves(worker) {
    if (!worker.isDraining()) this.#supervision?.leaves(worker);
  }

  /** Kills all workers at once: those of `fork()`, and groups of processes by the pids of their leaders. */
  #killAll(pids) {
    for (const { process: child } of Object.values(this.#cluster.workers)) child.kill('SIGKILL');
    for (const pid of pids) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }

  processOf({ id }) {
    return this.#processes.get(id);
  }

  /** The worker has loaded the engine. Returns false if that was known. */
  markStarted({ id }) {
    return this.#starting.delete(id);
  }

  /** The process has ended, and all that the worker has sent is delivered; 'exit' is next. */
  #onExiting(worker, code) {
    const { hasLeft } = this.#processes.get(worker.id);
    const isUnheard = this.#starting.delete(worker.id) && !hasLeft;
    if (isUnheard) this.#faults.reportUnheard(worker, code);
  }

  #onExit(worker, code, signal) {
    debug('worker %d exited: code %s, signal %s', worker.id, code, signal);
    this.#exited(worker);
    worker.emit('exit', code, signal);
    this.#cluster.emit('exit', worker, code, signal);
  }

  /**
   * Called by the listener of 'exit', or of the 'error' of a process that could not be started, and
   * again after it, because a listener before it may throw.
   */
  #exited(worker) {
    if (worker.state === 'dead') return;
    if (this.#processes.delete(worker.id)) {
      if (this.#processes.size === 0) this.#inspectorWatch.stop();
      worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    }
    this.#kills.forget(worker.id);
    this.#drains.exited(worker);
    if (!worker.isConnected()) delete this.#cluster.workers[worker.id];
    worker.state = 'dead';
  }

  #onDisconnect(worker) {
    debug('worker %d disconnected', worker.id);
    this.#disconnected(worker);
    worker.emit('disconnect');
    this.#cluster.emit('disconnect', worker);
  }

  /** Called by the listener of 'disconnect', and again after it, because a listener before it may throw. */
  #disconnected(worker) {
    const workerProcess = this.#connected.get(worker.id);
    if (!this.#connected.delete(worker.id)) return;
    if (worker.isDead()) delete this.#cluster.workers[worker.id];
    worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    worker.state = 'disconnected';
    if (this.#connected.size === 0) this.#shutdown.allDisconnected(workerProcess.context);
  }

  /** The inspector of this process has been started; so those of the workers are. */
  #enableInspectors() {
    for (const worker of Object.values(this.#cluster.workers)) {
      const enable = () => this.#processes.get(worker.id)?.enableInspector();
      if (worker.state === 'online' || worker.state === 'listening') enable();
      // Before that, the signal could end it.
      else worker.once('online', enable);
    }
  }

  /** `cluster.disconnect()`. */
  disconnectAll(callback) {
    // Unless a fork has started it, the engine has nothing to close.
    if (!this.#isStarted && this.#connected.size === 0) {
      nextTick(callback);
      return;
    }
    if (this.#supervision?.isActive) {
      this.#supervision.stop(() => this.disconnectAll(callback));
      return;
    }
    this.#shutdown.add(callback);
    if (this.#connected.size === 0) this.#shutdown.allDisconnected(new EventContext());
    for (const worker of Object.values(this.#cluster.workers)) {
      if (worker.isConnected()) worker.disconnect();
    }
  }

  /** `worker.disconnect()`. */
  disconnect(worker) {
    this.leaves(worker);
    worker.exitedAfterDisconnect = true;
    this.#disconnecting.add(worker);
    this.processOf(worker)?.sendInternal(internal.disconnect());
    this.#engine().withdraw(worker.id);
    delete this.#cluster.workers[worker.id];
  }

  /** `worker.kill()`. */
  destroy(worker, signo) {
    const signal = signo || 'SIGTERM';
    const settings = this.#supervision?.settingsOf(worker) ?? this.#cluster.settings;
    const { killMode, killTimeout } = ownSettings(settings, this.#defaults);
    const workerProcess = this.processOf(worker);
    this.leaves(worker);
    if (killMode === 'immediate' || workerProcess?.refusesSignals) {
      worker.process.kill(signal);
      return;
    }
    if (!isSignal(signal)) throw errors.unknownSignal(signal);
    worker.exitedAfterDisconnect ??= true;
    if (workerProcess === undefined || this.#faults.has(worker) || isSigkill(signal)) {
      worker.process.kill(signal);
      return;
    }
    this.#kills.begin(worker, signal, killTimeout);
    // The worker ends with this process, even if that is killed before it has sent the signal.
    workerProcess.sendInternal(internal.kill());
    if (!this.#disconnecting.has(worker)) worker.disconnect();
  }

  /** `worker.drain()`. Out of the rotation when this returns. */
  drain(worker, options) {
    const given = this.#supervision?.settingsOf(worker) ?? this.#cluster.settings;
    const settings = ownSettings(given, this.#defaults);
    const { timeout, reason, handsOver, killTimeout } = checkDrain(options, settings);
    if (!this.#processes.has(worker.id)) return Promise.resolve({ cut: 0 });
    this.leaves(worker);
    markLeaving(worker);
    const exited = this.#drains.await(worker);
    this.#engine().drain(worker.id, { timeout, reason, handsOver, killTimeout });
    return exited;
  }

  /**
   * `worker.pause()` or `worker.resume()`. Informs the worker, so that `isPaused()` is the same at both ends.
   */
  setPaused(worker, isPaused) {
    this.applyPaused(worker, isPaused);
    this.processOf(worker)?.sendInternal(internal.setPaused(isPaused));
  }

  applyPaused({ id }, isPaused) {
    if (isPaused) this.#engine().pause(id);
    else this.#engine().resume(id);
  }

  onEngineEvent(event) {
    const { kind, id, code, signal, cut, reason } = event;
    if (kind === 'exited') this.#onProcessExited(id, code, signal, cut);
    else if (kind === 'started') this.#supervision.adopt(event);
    else if (kind === 'asked') this.#supervision.onAsked(event);
    else if (kind === 'report') this.#supervision.onReport(reason);
    else if (kind === 'staying') this.#kills.stays(id);
    else if (kind === 'left') this.#processes.get(id)?.left();
    else if (kind === 'faulted') this.#processes.get(id)?.fail(reason);
    else if (kind === 'unable') this.#onUnable(id, reason);
    else if (kind === 'unaccepted') warnOfWaiting(reason, code);
    else if (kind === 'unwanted') warnOfUnwanted(reason);
    else this.#shutdown.allClosed(id);
  }

  #onProcessExited(id, code, signal, cut) {
    this.#drains.setCut(id, cut);
    this.#supervision?.onExited(id, cut, code, signal);
    this.#processes.get(id)?.exited(code, signal);
  }

  /** The worker says that it can't load the engine. */
  #onUnable(id, reason) {
    const workerProcess = this.#processes.get(id);
    const worker = this.#starting.get(id);
    if (worker === undefined) {
      workerProcess?.fail('it has loaded the engine, and says that it can not');
      return;
    }
    workerProcess.context.nextTick(() => {
      this.#starting.delete(id);
      this.#faults.reportUnable(worker, reason);
    });
  }
}

/** The worker is to drain, or does so. */
function markLeaving(worker) {
  markDraining(worker);
  worker.exitedAfterDisconnect = true;
}

/** The kernel has no descriptor, or no memory, for another connection. */
function warnOfWaiting(address, errno) {
  const [code, why] = getSystemErrorMap().get(errno) ?? [`${errno}`, 'unknown error'];
  const waits = `connections to ${address} wait until they can be accepted: ${why}`;
  process.emitWarning(waits, { type: 'ConnectionsWaitWarning', code });
}

/** The service manager has bound these addresses. Their clients wait for a worker that accepts. */
function warnOfUnwanted(addresses) {
  const text = `no worker listens on what the service manager has bound: ${addresses}`;
  process.emitWarning(text, { type: 'ActivationWarning', code: 'ERR_RS_CLUSTER_ACTIVATION' });
}

module.exports = Workers;

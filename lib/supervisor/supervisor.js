'use strict';

const EventEmitter = require('node:events');
const errors = require('../errors.js');
const EventContext = require('../event-context.js');
const LoopRef = require('../loop-ref.js');
const Asked = require('./asked.js');
const { checkInteger, checkObject, checkTime } = require('./checks.js');
const { allFailed, failure, noRecipe, signalName, stopped } = require('./failures.js');
const { Log } = require('./log.js');
const Operations = require('./operations.js');
const { MOST_WORKERS, checkSurge, resolveWorkers } = require('./options.js');
const Reloads = require('./reloads.js');
const Signals = require('./signals.js');
const SilentFailures = require('./silent-failures.js');
const { ignoreOutputErrors } = require('./terminal.js');

const RELATIVE = /^[+-]\d+$/;

/** What `cluster.supervise()` returns. The engine does the work, and reports it. */
class Supervisor extends EventEmitter {
  #engine;
  #options;
  #recipes;
  #host;
  #context = new EventContext();
  #state = 'starting';
  #generation = 1;
  /** How many workers there are to be, once all calls of `scale()` have been carried out, if there are any. */
  #target;
  #scaling = 0;
  #operations = new Operations();
  #reloads = new Reloads((options) => this.#logged('reload', this.#reload(options)));
  /** Keeps the primary running. */
  #loopRef = new LoopRef();
  #ready = deferred();
  #stopped = deferred();
  #signals;
  #asked;
  #silentFailures;
  #log;
  /** What the exit code was before the supervisor failed. */
  #exitCode;

  /**
   * @param {object} options as `checkOptions()` returns them
   * @param {Recipes} recipes
   * @param {object} host the primary: `workerOf(id)`, `markDraining(worker)`, `kill()` and `ended()`
   */
  constructor(engine, options, recipes, host) {
    super();
    this.#engine = engine;
    this.#options = options;
    this.#recipes = recipes;
    this.#host = host;
    this.#log = new Log(options.log, options, this.#context, () => this.#readyFacts());
    this.#silentFailures = new SilentFailures(options);
    this.#loopRef.ref();
    ignoreOutputErrors();
    const { killTimeout: exitTimeout } = options.engine;
    this.#asked = new Asked(engine, this, exitTimeout);
    if (options.signals)
      this.#signals = new Signals(this, {
        kill: () => this.#kill(),
        exitTimeout,
        isLogged: this.#log.isOn,
      });
  }

  get state() {
    return this.#state;
  }

  get generation() {
    return this.#generation;
  }

  /** In which the events of supervised workers are emitted. */
  get context() {
    return this.#context;
  }

  ready() {
    return this.#ready.promise;
  }

  async reload(options = {}) {
    checkObject('options', options);
    const { env, signal } = options;
    if (env !== undefined) checkObject('options.env', env);
    if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
      throw errors.invalidArgType('options.signal', 'an instance of AbortSignal', signal);
    }
    this.#checkRunning();
    return this.#reloads.add({ env }, signal);
  }

  async scale(workers) {
    const target = this.#targetOf(workers);
    checkSurge('workers', target, this.#options.engine.maxSurge);
    this.#checkRunning();
    this.#target = target;
    this.#scaling += 1;
    try {
      return await this.#begin('scale', (token) => this.#engine.scale(token, target));
    } finally {
      this.#scaling -= 1;
    }
  }

  async restart(slotOrId) {
    checkInteger('slotOrId', slotOrId, 0, 2 ** 32 - 1);
    this.#checkRunning();
    const ask = (token) => this.#engine.restart(token, slotOrId);
    await this.#begin('restart', ask, { slotOrId });
  }

  hold() {
    this.#engine.hold();
  }

  release() {
    this.#engine.release();
  }

  async stop(options = {}) {
    checkObject('options', options);
    const { shutdownDelay, drainTimeout } = this.#options;
    const { timeout = drainTimeout } = options;
    checkTime('options.timeout', timeout);
    if (this.#state !== 'stopped') {
      this.#reloads.cancel(stopped());
      this.#operations
        .begin((token) => this.#engine.stop(token, shutdownDelay, timeout))
        .catch(() => {});
    }
    await this.#stopped.promise;
  }

  status() {
    return JSON.parse(this.#engine.status());
  }

  /** A report of the engine. */
  onReport({ type, ...report }) {
    const { worker } = report;
    if (type !== 'rejected') this.#log.add(type, report);
    switch (type) {
      case 'state':
        this.#setState(report.state);
        break;
      case 'done':
        this.#operations.done(report);
        break;
      case 'rejected':
        this.#operations.failed(report, (facts) => failure(facts, this.#options));
        break;
      case 'ready':
        this.#onReady();
        break;
      case 'reload':
        this.#generation = report.generation;
        this.#emitSoon('reload', report);
        break;
      case 'backoff':
        this.#onBackOff(report);
        break;
      case 'failed':
        this.#fail(allFailed(report.reason, this.#options));
        break;
      case 'stopped':
        this.#setState('stopped');
        break;
      case 'draining':
        this.#host.markDraining(worker);
        this.#emitOf(worker, type, report);
        break;
      case 'hung':
      case 'blocked':
        this.#emitOf(worker, type, report);
        break;
      default:
        this.#emitSoon(type, report);
    }
  }

  /** An operator asks for something by the control socket. */
  onAsked(token, operation) {
    this.#asked.handle(token, operation);
  }

  /** The end of a worker has cut connections off. */
  onCut(worker, connections) {
    this.#log.add('cut', { worker: worker.id, connections });
    this.#emitSoon('cut', { worker, connections });
  }

  /** The process of a supervised worker has ended. */
  onExit(worker, code, signal) {
    this.#log.add('exit', { worker, code: code ?? null, signal: signalName(signal) });
  }

  #readyFacts() {
    const { workers, listeners, admin = null } = JSON.parse(this.#engine.status());
    const addresses = listeners.map(({ address }) => address);
    return { generation: this.#generation, workers, listeners: addresses, admin };
  }

  #onReady() {
    this.#ready.resolve();
    // It had been rejected if every slot had failed before.
    this.#ready = deferred();
    this.#ready.resolve();
    this.#emitSoon('ready');
  }

  #onBackOff({ failure: reason, ...facts }) {
    this.#host.restoreFiles();
    // The log has it already.
    if (!this.#log.isOn) this.#silentFailures.report(reason);
    this.#emitSoon('backoff', facts);
  }

  #fail(error) {
    this.#ready.reject(error);
    this.#emitSoon('failed', { reason: error.message });
    this.#context.nextTick(() => {
      if (this.#state === 'failed') this.#loopRef.unref();
    });
  }

  /** Emits an event about a worker, with the object in place of its id. */
  #emitOf(id, type, report) {
    const worker = this.#host.workerOf(id);
    if (worker !== undefined) this.#emitSoon(type, { ...report, worker });
  }

  #emitSoon(type, ...args) {
    this.#context.nextTick(() => this.emit(type, ...args));
  }

  #setState(state) {
    const before = this.#state;
    if (state === before || before === 'stopped') return;
    this.#state = state;
    if (before === 'failed' && state !== 'stopping' && state !== 'stopped') {
      process.exitCode = this.#exitCode;
    }
    if (state === 'failed') {
      this.#exitCode = process.exitCode;
      process.exitCode = 1;
    }
    if (state === 'stopping') this.#reloads.cancel(stopped());
    if (state === 'stopped') this.#end();
    // `#fail()` lets the process end, once its listeners have been called.
    else if (state !== 'failed') this.#loopRef.ref();
  }

  /** The last worker has gone. */
  #end() {
    this.#signals?.remove();
    this.#host.ended();
    this.#reloads.cancel(stopped());
    this.#operations.end(stopped());
    this.#ready.reject(stopped());
    this.#emitSoon('stopped');
    this.#context.nextTick(() => {
      this.#stopped.resolve();
      this.#loopRef.unref();
    });
  }

  /** Kills the workers, without waiting for anything, because this process is about to end. */
  #kill() {
    this.#engine.hold();
    const { slots, draining } = JSON.parse(this.#engine.status());
    this.#host.kill([...slots, ...draining].map(({ pid }) => pid).filter((pid) => pid !== null));
  }

  async #reload({ env }) {
    let recipe;
    this.#host.restoreFiles();
    try {
      recipe = this.#recipes.make(env);
    } catch (error) {
      const failed = noRecipe(error);
      this.#engine.noReload(failed.message);
      throw failed;
    }
    this.#host.startsBy(recipe);
    const result = await this.#operations.begin((token) => {
      const refusal = this.#engine.reload(token, recipe.engine);
      if (refusal) throw noRecipe(errors.errnoException(refusal.errno, refusal.syscall));
    });
    this.#recipes.commit(env);
    return result;
  }

  /** Asks the engine for what may need new workers. */
  #begin(name, ask, given) {
    this.#host.restoreFiles();
    return this.#logged(name, this.#operations.begin(ask, given));
  }

  /** Logs the failure of an operation. */
  async #logged(operation, promise) {
    try {
      return await promise;
    } catch (error) {
      this.#log.rejected(operation, error);
      throw error;
    }
  }

  #targetOf(workers) {
    const isRelative = typeof workers === 'string' && RELATIVE.test(workers);
    if (!isRelative) return resolveWorkers('workers', workers);
    const current = this.#scaling > 0 ? this.#target : JSON.parse(this.#engine.status()).workers;
    const target = current + Number(workers);
    checkInteger('workers', target, 1, MOST_WORKERS);
    return target;
  }

  #checkRunning() {
    if (this.#state === 'stopping' || this.#state === 'stopped') throw stopped();
  }
}

if (Symbol.asyncDispose !== undefined) {
  Supervisor.prototype[Symbol.asyncDispose] = Supervisor.prototype.stop;
}

/** A promise, and how to settle it. A program that does not wait for it need not handle its rejection. */
function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  it.promise.catch(() => {});
  return it;
}

module.exports = Supervisor;

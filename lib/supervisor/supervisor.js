'use strict';

const EventEmitter = require('node:events');
const EventContext = require('../event-context.js');
const LoopRef = require('../loop-ref.js');
const Asked = require('./asked.js');
const { checkInteger, checkObject, checkTime } = require('./checks.js');
const deferred = require('./deferred.js');
const ExitCode = require('./exit-code.js');
const { allFailed, failure, signalName, stopped, upgraded } = require('./failures.js');
const { Log } = require('./log.js');
const Operations = require('./operations.js');
const { checkReload, reload } = require('./reload.js');
const Reloads = require('./reloads.js');
const Scales = require('./scales.js');
const Signals = require('./signals.js');
const SilentFailures = require('./silent-failures.js');
const { ignoreOutputErrors } = require('./terminal.js');
const checkUpgrade = require('./upgrade-options.js');
const Upgrades = require('./upgrades.js');

/** Reports that are logged when more is known. */
const LOGGED_LATER = ['rejected', 'stopped'];

/** What `cluster.supervise()` returns. The engine does the work, and reports it. */
class Supervisor extends EventEmitter {
  #engine;
  #options;
  #host;
  #context = new EventContext();
  #state = 'starting';
  #generation;
  #operations = new Operations();
  #reloads;
  #scales;
  #upgrades;
  /** Keeps the primary running. */
  #loopRef = new LoopRef();
  #ready = deferred();
  #stopped = deferred();
  #signals;
  #asked;
  #silentFailures;
  #log;
  /** What reports of the engine do, by their types. The others are events of this object. */
  #handlers = {
    state: ({ state }) => this.#setState(state),
    done: (report) => this.#operations.done(report),
    rejected: (report) => this.#operations.failed(report, (facts) => failure(facts, this.#options)),
    ready: () => this.#onReady(),
    reload: (report) => this.#onReload(report),
    upgrade: (report) => this.#onUpgraded(report),
    takeover: () => this.#host.tookOver(),
    successorExit: (report) => this.#upgrades.successorExited(report),
    predecessorFaulted: ({ message }) => {
      process.emitWarning(message, { type: 'SupervisorWarning', code: 'ERR_RS_CLUSTER_PROTOCOL' });
    },
    standbyFailed: ({ reason }) => this.#giveUp(failure(reason, this.#options)),
    backoff: (report) => this.#onBackOff(report),
    failed: ({ reason }) => this.#fail(allFailed(reason, this.#options)),
    stopped: () => this.#setState('stopped'),
    draining: (report) => this.#onDraining(report),
    hung: (report) => this.#emitOf('hung', report),
    blocked: (report) => this.#emitOf('blocked', report),
  };
  #exitCode = new ExitCode();

  /**
   * @param {object} options as `checkOptions()` returns them
   * @param {object} how
   * @param {Recipes} how.recipes of the workers
   * @param {PrimaryRecipe} how.primary of this process
   * @param {{ generation: number }} [how.predecessor] the primary that this one is to replace
   * @param {object} host the primary: `workerOf(id)`, `markDraining(worker)`, `kill()`, `ended()` and so on
   */
  constructor(engine, options, { recipes, primary, predecessor }, host) {
    super();
    this.#engine = engine;
    this.#options = options;
    this.#host = host;
    const parts = { engine, recipes, host, operations: this.#operations, primary, options };
    this.#reloads = new Reloads((given) => this.#log.watch('reload', reload(parts, given)));
    this.#scales = new Scales(() => this.status().workers, options.engine.maxSurge);
    this.#upgrades = new Upgrades(parts, (then) => this.#endAsParent(then));
    this.#generation = (predecessor?.generation ?? 0) + 1;
    this.#log = new Log(options.log, options, this.#context, () => this.status());
    this.#silentFailures = new SilentFailures(options);
    this.#loopRef.ref();
    ignoreOutputErrors();
    const exitTimeout = options.engine.killTimeout;
    this.#asked = new Asked(engine, this, exitTimeout);
    if (options.signals)
      this.#signals = new Signals(this, {
        kill: () => host.kill(),
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
    checkReload(options);
    this.#checkRunning();
    const { env, signal } = options;
    return this.#reloads.add({ env }, signal);
  }

  async upgrade(options = {}) {
    const checked = checkUpgrade(options);
    this.#checkRunning();
    return this.#log.watch('upgrade', this.#upgrades.begin(checked));
  }

  async scale(workers) {
    const target = this.#scales.targetOf(workers);
    this.#checkRunning();
    return this.#scales.run(target, () =>
      this.#begin('scale', (token) => this.#engine.scale(token, target)),
    );
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
    if (!this.#upgrades.stop() && this.#state !== 'stopped') {
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
    if (!LOGGED_LATER.includes(type)) this.#log.add(type, report);
    if (Object.hasOwn(this.#handlers, type)) this.#handlers[type](report);
    else this.#emitSoon(type, report);
  }

  /** An operator asks for something by the control socket. */
  onAsked(token, operation, options) {
    this.#asked.handle(token, operation, options);
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

  #onReady() {
    this.#ready.resolve();
    // It had been rejected if every slot had failed before.
    this.#ready = deferred();
    this.#ready.resolve();
    this.#emitSoon('ready');
  }

  #onReload(report) {
    this.#generation = report.generation;
    this.#emitSoon('reload', report);
  }

  #onDraining(report) {
    this.#host.markDraining(report.worker);
    this.#emitOf('draining', report);
  }

  /** Another primary serves in place of this one. */
  #onUpgraded({ stays, ...facts }) {
    this.#signals?.remove();
    const forwards = this.#signals !== undefined;
    this.#upgrades.succeeded(facts.pid, { stays, forwards, supervisor: this });
    this.#reloads.cancel(upgraded(facts.pid));
    this.#emitSoon('upgrade', facts);
  }

  /** The last primary has ended, for which this process has stayed. */
  #endAsParent(then) {
    this.#setState('stopped');
    this.#context.nextTick(then);
  }

  /** This primary can't take the place of another one, which goes on. */
  #giveUp(error) {
    this.#log.rejected('takeover', error);
    this.#fail(error);
    this.#host.gaveUp(error);
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
  #emitOf(type, report) {
    const worker = this.#host.workerOf(report.worker);
    if (worker !== undefined) this.#emitSoon(type, { ...report, worker });
  }

  #emitSoon(type, ...args) {
    this.#context.nextTick(() => this.emit(type, ...args));
  }

  #setState(state) {
    const before = this.#state;
    if (state === before || before === 'stopped') return;
    if (state === 'stopped' && this.#upgrades.workersEnded()) return;
    this.#state = state;
    this.#exitCode.onState(before, state);
    if (state === 'stopping') this.#reloads.cancel(stopped());
    if (state === 'stopped') this.#end();
    // `#fail()` lets the process end, once its listeners have been called.
    else if (state !== 'failed') this.#loopRef.ref();
  }

  /** The last worker has gone. */
  #end() {
    this.#log.add('stopped', {});
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

  /** Asks the engine for what may need new workers. */
  #begin(name, ask, given) {
    this.#host.restoreFiles();
    return this.#log.watch(name, this.#operations.begin(ask, given));
  }

  #checkRunning() {
    this.#upgrades.check();
    if (this.#state === 'stopping' || this.#state === 'stopped') throw stopped();
  }
}

if (Symbol.asyncDispose !== undefined) {
  Supervisor.prototype[Symbol.asyncDispose] = Supervisor.prototype.stop;
}

module.exports = Supervisor;

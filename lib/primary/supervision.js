'use strict';

const errors = require('../errors.js');
const { returnActivated, takeActivated } = require('../supervisor/activation.js');
const PrimaryRecipe = require('../supervisor/primary-recipe.js');
const { OperatorSockets } = require('../supervisor/operator-sockets.js');
const PackageCopy = require('../supervisor/package-copy.js');
const Recipes = require('../supervisor/recipe.js');
const { returnServiceManager, takeServiceManager } = require('../supervisor/service-manager.js');
const Supervisor = require('../supervisor/supervisor.js');
const takeover = require('../supervisor/takeover.js');
const { flushOutputOnExit } = require('../supervisor/terminal.js');

/** The workers under supervision: the engine starts them, and here they become members of the cluster. */
class Supervision {
  #engine;
  #host;
  #supervisor;
  #settings;
  /** By id, those that have not exited. */
  #workers = new Map();
  /** What the workers of a generation are started by, as in `Recipes`. */
  #requests = new Map();
  #newestRequest;

  /**
   * @param {() => Engine} engine
   * @param {object} host what the cluster does: `adopt(id, request, process)`, `workerOf(id)`,
   *   `markDraining(worker)` and `kill(pids)`
   */
  constructor(engine, host) {
    this.#engine = engine;
    this.#host = host;
  }

  /** Whether the supervisor has not stopped. */
  get isActive() {
    return this.#supervisor.state !== 'stopped';
  }

  /** The settings of a supervised worker; undefined for others. */
  settingsOf({ id }) {
    return this.#workers.has(id) ? this.#settings : undefined;
  }

  /**
   * Starts the supervisor. The engine has been started.
   *
   * @param {object} options as `checkOptions()` returns them
   * @throws an error of the system, or what `options.env` throws
   */
  start(options, defaults) {
    this.#settings = options.settings;
    const { uid, gid } = options.settings;
    const isForOthers = (uid ?? process.getuid()) !== process.getuid() || gid != null;
    const copy = new PackageCopy(isForOthers, options.settings);
    let sockets;
    try {
      const serviceManager = options.systemd ? takeServiceManager() : {};
      // A rehearsal is not the service.
      if (options.systemd && !options.internal.rehearse) takeActivated(this.#engine());
      const recipes = new Recipes(options, defaults, copy.files);
      const recipe = recipes.make();
      const primary = new PrimaryRecipe(options.directory);
      const predecessor = takeover.takeOver(this.#engine());
      sockets = new OperatorSockets(this.#engine(), options, predecessor);
      return this.#start(options, {
        recipes,
        recipe,
        primary,
        predecessor,
        copy,
        sockets,
        serviceManager,
      });
    } catch (error) {
      sockets?.close();
      copy.remove();
      returnServiceManager();
      returnActivated(this.#engine());
      throw error;
    }
  }

  #start(options, { recipes, recipe, primary, predecessor, copy, sockets, serviceManager }) {
    this.#newestRequest = recipe.request;
    const program = { name: sockets.name, node: process.version };
    // The service is another process then.
    const told = options.internal.rehearse ? {} : serviceManager;
    const failure = this.#engine().supervise(
      { ...options.engine, ...told },
      recipe.engine,
      program,
    );
    if (failure !== null) throw errors.errnoException(failure.errno, failure.syscall);
    flushOutputOnExit(this.#engine());
    const how = { recipes, primary, predecessor };
    this.#supervisor = new Supervisor(this.#engine(), options, how, {
      ...this.#host,
      workerOf: (id) => this.#workerOf(id),
      startsBy: ({ request }) => this.#startsBy(request),
      markDraining: (id) => this.#markDraining(id),
      kill: () => {
        this.#kill();
        // This process ends by a signal, so it does not emit 'exit'.
        copy.remove();
        sockets.remove();
      },
      restoreFiles: () => copy.restore(),
      tookOver: () => {
        takeover.end();
        sockets.tookOver();
      },
      gaveUp: (error) => {
        takeover.fail(error);
        this.#supervisor.context.nextTick(() => process.exit(1));
      },
      handedOver: () => sockets.closed(),
      ended: () => {
        copy.remove();
        sockets.closed();
        this.#engine().closeHeld();
      },
    });
    return this.#supervisor;
  }

  /** The engine has started a worker. Its events follow. */
  adopt({ id, generation, process: started }) {
    if (!this.#requests.has(generation)) this.#requests.set(generation, this.#newestRequest);
    const request = this.#requests.get(generation);
    this.#supervisor.context.run(() => {
      this.#workers.set(id, this.#host.adopt(id, request, started));
    });
  }

  onReport(json) {
    this.#supervisor.onReport(JSON.parse(json));
  }

  /** An operator asks for something. */
  onAsked({ id, reason, options }) {
    this.#supervisor.onAsked(id, reason, options ? JSON.parse(options) : undefined);
  }

  /** The program itself ends this worker, which is to be replaced at once. */
  leaves({ id }) {
    if (this.#workers.has(id)) this.#engine().leaves(id);
  }

  /** The process of this worker has ended. */
  onExited(id, cut, code, signal) {
    const worker = this.#workerOf(id);
    if (this.#workers.delete(id)) this.#supervisor.onExit(id, code, signal);
    if (cut > 0 && worker !== undefined) this.#supervisor.onCut(worker, cut);
  }

  /** Stops the supervisor, then calls back. */
  stop(callback) {
    this.#supervisor.stop().then(callback);
  }

  /** The next generation is started by this. Those that have failed, or are replaced, need theirs no longer. */
  #startsBy(request) {
    this.#newestRequest = request;
    for (const generation of this.#requests.keys()) {
      if (generation !== this.#supervisor.generation) this.#requests.delete(generation);
    }
  }

  /**
   * Kills all workers at once, those that are known here, and those that the engine has started since, because this
   * process is about to end.
   */
  #kill() {
    const engine = this.#engine();
    engine.hold();
    engine.endOthers();
    const { slots, draining } = JSON.parse(engine.status());
    const pids = [...slots, ...draining].map(({ pid }) => pid).filter((pid) => pid !== null);
    const known = [...this.#workers.values()].map((worker) => worker.process.pid);
    this.#host.kill(new Set([...known, ...pids]));
  }

  #markDraining(id) {
    const worker = this.#workerOf(id);
    if (worker !== undefined) this.#host.markDraining(worker);
  }

  /** A worker under supervision, or one of `fork()`, which drains when the supervisor stops. */
  #workerOf(id) {
    return this.#workers.get(id) ?? this.#host.workerOf(id);
  }
}

module.exports = Supervision;

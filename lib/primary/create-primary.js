'use strict';

const EventEmitter = require('node:events');
const { defineWorker, markPaused } = require('../define-worker.js');
const { nextTick } = require('../real-timers.js');
const UPGRADE_VARIABLE = require('../supervisor/upgrade-variable.js');
const lazyEngine = require('./engine.js');
const { POLICIES, checkPolicy, defaultPolicy } = require('./policies.js');
const { checkSettings, mergeSettings } = require('./settings.js');
const { readStats } = require('./stats.js');

// Loaded now, in the context of the code that loads this package: handles in messages get that context.
require('../event-context.js');

/** How to supervise with what `supervise()` does not offer, by the `cluster` object of a primary. */
const internals = new WeakMap();

/**
 * Makes an object the `cluster` object of a primary, with an engine of its own.
 *
 * @param {EventEmitter} cluster
 * @param {object} defaults
 * @param {'graceful' | 'immediate'} defaults.killMode where the settings name none
 */
function createPrimary(cluster = new EventEmitter(), defaults = { killMode: 'graceful' }) {
  const engine = lazyEngine((event) => workers().onEngineEvent(event));
  /** Set by the first `setupPrimary()`, unchanging then. */
  let policy;
  let loaded;
  const Worker = defineWorker({ disconnect, destroy, tellPaused, own: { drain } });

  Object.assign(cluster, {
    isWorker: false,
    isMaster: true,
    isPrimary: true,
    Worker,
    workers: {},
    settings: {},
    ...POLICIES,
    schedulingPolicy: defaultPolicy(),
    setupPrimary,
    setupMaster: setupPrimary,
    fork,
    supervise,
    disconnect: disconnectAll,
    stats,
  });
  internals.set(cluster, superviseWith);
  // Before the program starts other processes.
  if (UPGRADE_VARIABLE in process.env) require('../supervisor/takeover.js').claim();
  loadSoon();
  return cluster;

  /**
   * All that deals with workers, but for their channels, which `load()` loads. It is loaded once, even if a test runner
   * resets the module registry meanwhile.
   */
  function workers() {
    if (loaded === undefined) {
      const Workers = require('./workers.js');
      loaded = new Workers(cluster, { Worker, markPaused }, engine, defaults);
    }
    return loaded;
  }

  /**
   * Loads the rest in the next microtask, so that the package itself loads quickly. A later fork() would be too late:
   * there may be no descriptor left to load anything with, and `jest --detectOpenHandles` would take the
   * engine, which keeps nothing running and stays, for something that a test has left open. What fails here
   * fails in fork() again. Threads inherit `--require rs-cluster/register`, and hardly ever fork.
   */
  function loadSoon() {
    Promise.resolve()
      .then(() => {
        if (!require('node:worker_threads').isMainThread) return;
        engine();
        workers().load();
      })
      .catch(() => {});
    // The program may drop the permission to read more files, and fork nevertheless.
    if (process.permission?.drop !== undefined) workers().load();
  }

  function setupPrimary(options) {
    const settings = mergeSettings(cluster.settings, options);
    checkSettings(settings, defaults);
    if (policy === undefined) {
      const chosen = cluster.schedulingPolicy;
      checkPolicy(chosen);
      policy = chosen;
    }
    cluster.settings = settings;
    nextTick(() => cluster.emit('setup', settings));
  }

  function fork(env) {
    const all = workers();
    cluster.setupPrimary();
    return all.fork(env, policy);
  }

  function supervise(options) {
    try {
      return superviseWith(options);
    } catch (error) {
      // A second call changes nothing.
      if (error.code !== 'ERR_RS_CLUSTER_SUPERVISED') {
        require('../supervisor/takeover.js').fail(error);
      }
      throw error;
    }
  }

  function superviseWith(options, internal) {
    const all = workers();
    const { checkOptions } = require('../supervisor/options.js');
    const checked = checkOptions(options, cluster.settings, defaults, internal);
    cluster.setupPrimary();
    return all.supervise(checked, policy);
  }

  function disconnectAll(callback) {
    const once = typeof callback === 'function' ? callback : () => {};
    // Without a fork there is nothing to close.
    if (loaded === undefined) nextTick(once);
    else loaded.disconnectAll(once);
  }

  function stats() {
    return readStats(engine().stats());
  }

  /** A method of Worker. */
  function disconnect() {
    workers().disconnect(this);
    return this;
  }

  /** A method of Worker. */
  function destroy(signo) {
    workers().destroy(this, signo);
  }

  /** A method of Worker. */
  function drain(options) {
    try {
      return workers().drain(this, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  function tellPaused(isPaused) {
    workers().setPaused(this, isPaused);
  }
}

/**
 * As `cluster.supervise()`, for the command line.
 *
 * @param {object} cluster what `createPrimary()` returned
 * @param {object} internal `prefix`, `rehearse`, `reapOrphans` and `slotEnv`; see `lib/supervisor/internal.js`
 */
createPrimary.supervise = (cluster, options, internal) => internals.get(cluster)(options, internal);

module.exports = createPrimary;

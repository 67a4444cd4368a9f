'use strict';

const errors = require('../errors.js');

const UNLOADED =
  "it has exited without loading rs-cluster's preload.js: can its user read that file, and does " +
  'Node allow it (--allow-fs-read)?';

/** Workers that broke the protocol, or could not load the engine. */
class Faults {
  #faulty = new WeakSet();
  /** Why workers could not load the engine. Each reason is reported once. */
  #knownReasons = new Set();

  /** Whether the worker is at fault. */
  has(worker) {
    return this.#faulty.has(worker);
  }

  /** The worker broke the protocol. Its channel is closed, so it exits. */
  report(worker, error) {
    this.#faulty.add(worker);
    // An unhandled 'error' event would crash the primary because of one bad worker.
    if (!isHeard(worker)) {
      process.emitWarning(`worker ${worker.id}: ${error.message}`, { code: error.code });
      return;
    }
    const listener = () => {};
    worker.on('error', listener);
    try {
      worker.process.emit('error', error);
    } finally {
      worker.removeListener('error', listener);
    }
  }

  /** The worker exits because it can't load the engine. The next one will probably do the same. */
  reportUnable(worker, reason) {
    const isNew = !this.#knownReasons.has(reason);
    this.#knownReasons.add(reason);
    if (isHeard(worker) || isNew) this.report(worker, errors.notLoaded(reason));
  }

  /** The worker has exited with this code before it sent anything. */
  reportUnheard(worker, code) {
    // Node ends with this code when it can't find or read a preload.
    if (code === 1) this.reportUnable(worker, UNLOADED);
  }
}

/** Whether 'error' has a listener, on the worker or on its process, to which the worker itself listens. */
function isHeard(worker) {
  return worker.listenerCount('error') > 0 || worker.process.listenerCount('error') > 1;
}

module.exports = Faults;

'use strict';

const errors = require('../errors.js');

/**
 * Lets one reload run at a time. Those that are asked for meanwhile become one, which begins when the running
 * one has ended, with the options of the last.
 */
class Reloads {
  #begin;
  #isRunning = false;
  /** `{ options, promise, start, reject }` of the one that waits. */
  #next = null;

  /** @param {(options: object) => Promise<object>} begin begins a reload */
  constructor(begin) {
    this.#begin = begin;
  }

  /**
   * @param {object} options of the reload
   * @param {AbortSignal} [signal] ends the wait for the reload, but not the reload
   */
  async add(options, signal) {
    if (signal?.aborted) throw errors.aborted(signal);
    const reload = this.#isRunning ? this.#wait(options) : this.#run(options);
    return signal === undefined ? reload : unlessAborted(reload, signal);
  }

  /** The reload that waits is not to begin. */
  cancel(error) {
    this.#next?.reject(error);
    this.#next = null;
  }

  #wait(options) {
    if (this.#next === null) {
      const next = { options };
      next.promise = new Promise((resolve, reject) => {
        next.start = () => resolve(this.#run(next.options));
        next.reject = reject;
      });
      this.#next = next;
    }
    this.#next.options = options;
    return this.#next.promise;
  }

  async #run(options) {
    this.#isRunning = true;
    try {
      return await this.#begin(options);
    } finally {
      this.#isRunning = false;
      const next = this.#next;
      this.#next = null;
      next?.start();
    }
  }
}

/** The outcome of the promise, or an AbortError as soon as the signal is aborted. */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(errors.aborted(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    const end = () => signal.removeEventListener('abort', onAbort);
    promise.then(resolve, reject).finally(end);
  });
}

module.exports = Reloads;

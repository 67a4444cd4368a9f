'use strict';

const { checkInteger } = require('./checks.js');
const { MOST_WORKERS, checkSurge, resolveWorkers } = require('./options.js');

const RELATIVE = /^[+-]\d+$/;

/** How many workers there are to be, once all calls of `scale()` have been carried out. */
class Scales {
  #current;
  #maxSurge;
  #target;
  #running = 0;

  /**
   * @param {() => number} current how many there are to be now
   * @param {number} maxSurge the option
   */
  constructor(current, maxSurge) {
    this.#current = current;
    this.#maxSurge = maxSurge;
  }

  /**
   * The number that `scale()` is asked for.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`
   */
  targetOf(workers) {
    const target = this.#resolve(workers);
    checkSurge('workers', target, this.#maxSurge);
    return target;
  }

  /** Carries out a call; relative numbers count from its target meanwhile. */
  async run(target, begin) {
    this.#target = target;
    this.#running += 1;
    try {
      return await begin(target);
    } finally {
      this.#running -= 1;
    }
  }

  #resolve(workers) {
    const isRelative = typeof workers === 'string' && RELATIVE.test(workers);
    if (!isRelative) return resolveWorkers('workers', workers);
    const current = this.#running > 0 ? this.#target : this.#current();
    const target = current + Number(workers);
    checkInteger('workers', target, 1, MOST_WORKERS);
    return target;
  }
}

module.exports = Scales;

'use strict';

const errors = require('../errors.js');
const { checkTimeout } = require('./settings.js');

const DEFAULT_TIMEOUT = 30_000;
// In bytes: it is part of a packet of the control socket.
const LONGEST_REASON = 4096;

/** The workers that drain. The engine ends them in time; here is what their programs wait for. */
class Drains {
  /** `{promise, resolve}`, by the worker's id. */
  #pending = new Map();
  /** How many connections the exit of a worker has cut, by its id, until that is reported. */
  #cut = new Map();

  /**
   * Waits for the exit of a worker.
   *
   * @returns {Promise<{ cut: number }>} the same one for each call
   */
  await({ id }) {
    if (!this.#pending.has(id)) {
      let resolve;
      const promise = new Promise((onExit) => {
        resolve = onExit;
      });
      this.#pending.set(id, { promise, resolve });
    }
    return this.#pending.get(id).promise;
  }

  /** The engine says that the worker's process has ended. */
  setCut(id, cut) {
    if (this.#pending.has(id)) this.#cut.set(id, cut);
  }

  /** The worker has exited, or could not be started. */
  exited({ id }) {
    const cut = this.#cut.get(id) ?? 0;
    this.#cut.delete(id);
    this.#pending.get(id)?.resolve({ cut });
    this.#pending.delete(id);
  }
}

/**
 * Checks the options of `worker.drain()`, and adds the defaults.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`
 */
function checkDrain(options, settings) {
  const isObject = options === undefined || (options !== null && typeof options === 'object');
  if (!isObject) throw errors.invalidArgType('options', 'of type object', options);
  const { timeout = DEFAULT_TIMEOUT, reason, handOverIdle = settings.handOverIdle } = options ?? {};
  checkTimeout('options.timeout', timeout);
  if (reason !== undefined && typeof reason !== 'string') {
    throw errors.invalidArgType('options.reason', 'of type string', reason);
  }
  if (reason !== undefined && Buffer.byteLength(reason) > LONGEST_REASON) {
    const expected = `must have at most ${LONGEST_REASON} bytes`;
    throw errors.invalidArgValue('options.reason', reason, expected);
  }
  if (typeof handOverIdle !== 'boolean') {
    throw errors.invalidArgType('options.handOverIdle', 'of type boolean', handOverIdle);
  }
  return { timeout, reason, handsOver: handOverIdle, killTimeout: settings.killTimeout };
}

module.exports = { Drains, checkDrain };

'use strict';

const { clearInterval, setInterval } = require('./real-timers.js');

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Keeps the event loop running, in place of a handle of libuv that Node would have. */
class LoopRef {
  #timer = null;

  ref() {
    this.#timer ??= setInterval(() => {}, LONGEST_TIMEOUT);
  }

  unref() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  hasRef() {
    return this.#timer !== null;
  }
}

module.exports = LoopRef;

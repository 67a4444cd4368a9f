'use strict';

const { clearInterval, setInterval } = require('./real-timers.js');

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** Holds the event loop open, as a libuv handle does that has no counterpart here. */
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

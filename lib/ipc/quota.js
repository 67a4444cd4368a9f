'use strict';

// What one worker may ask of the primary's JavaScript. The engine counts what goes by the control socket.

const { performance } = require('node:perf_hooks');

/** How many times at once, and how many milliseconds until the next time then: 5,000 a second. */
const BURST = 10_000;
const PAUSE = 0.2;

/** How often something happens. */
class Quota {
  /** When it may happen as often again as at first. */
  #full = 0;

  /** Counts one more. Returns whether it is one too many. */
  isExceeded(now = performance.now()) {
    this.#full = Math.max(this.#full, now) + PAUSE;
    return this.#full - now > BURST * PAUSE;
  }
}

module.exports = { BURST, Quota };

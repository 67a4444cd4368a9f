'use strict';

// How many internal messages a worker may send. They cost the primary's JavaScript time, while the engine
// counts what comes by the control socket.

const { now } = require('../real-timers.js');

const BURST = 10_000;
/** In milliseconds: 5,000 a second. */
const PAUSE = 0.2;

/** Allows `BURST` events at once, and after that one every `PAUSE` milliseconds. */
class Quota {
  limit = BURST;
  /** When the whole burst is allowed again. */
  #full = 0;

  /** Counts an event. Returns whether it is one too many. */
  isExceeded() {
    const time = now();
    this.#full = Math.max(this.#full, time) + PAUSE;
    return this.#full - time > BURST * PAUSE;
  }
}

module.exports = Quota;

'use strict';

const { LoopRef } = require('./native');

/** How many hold the event loop open, by the one reference that they share. */
let count = 0;
let shared;

/** Holds the event loop open, as a libuv handle does that has no counterpart here. */
class Hold {
  #isHeld = false;

  ref() {
    if (this.#isHeld) return;
    this.#isHeld = true;
    count += 1;
    if (count === 1) shared = new LoopRef(() => {});
  }

  unref() {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    count -= 1;
    if (count === 0) shared.release();
  }

  hasRef() {
    return this.#isHeld;
  }
}

module.exports = Hold;

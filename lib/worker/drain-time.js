'use strict';

const { now } = require('../real-timers.js');

// The order may have taken some milliseconds to come, and the engine does not wait longer for that.
const DELAY = 50;
// How much of the last third is left to what is being ended then.
const RESERVE = 0.25;

/** The time that a worker has to drain. */
class DrainTime {
  /** When it is over: rather earlier than for the engine. */
  deadline;
  #third;

  /** `left` is in milliseconds. */
  constructor(left) {
    this.deadline = now() + left - DELAY;
    this.#third = left / 3;
  }

  /** Whether `left` milliseconds from now end earlier. */
  isLongerThan(left) {
    return now() + left < this.deadline;
  }

  get left() {
    return Math.max(this.deadline - now(), 0);
  }

  /** Whether what still does not end by itself is to be ended. */
  get isLastThird() {
    return this.left <= this.#third;
  }

  /** How many steps are left to spread work over, at least one. */
  stepsLeft(step) {
    return Math.max(Math.floor((this.left - RESERVE * this.#third) / step), 1);
  }
}

module.exports = DrainTime;

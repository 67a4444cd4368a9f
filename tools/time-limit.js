'use strict';

// Time limits that also hold on a busy machine: they measure the time that the work would have taken on an
// idle one.

const { readFileSync } = require('node:fs');
const { availableParallelism, loadavg } = require('node:os');

/** A machine busier than this counts as a hang. */
const LARGEST_SLOWDOWN = 10;
/** How many times slower than a processor its emulator is, if the tests run in one. */
const EMULATION = Number(process.env.EMULATION_SLOWDOWN ?? 1);
/** How often a time limit checks the load, in milliseconds. */
const LOOKS = 500;

/** How many times longer a process takes than on an idle machine, without an emulator. */
function slowdown() {
  const wanted = Math.max(loadavg()[0], runnable()) / availableParallelism();
  return EMULATION * Math.min(Math.max(wanted, 1), LARGEST_SLOWDOWN);
}

/** How many threads run or want to run; 0 if the system does not say. The load average would lag behind. */
function runnable() {
  try {
    return Number(/(\d+)\/\d+/.exec(readFileSync('/proc/loadavg', 'latin1'))[1]);
  } catch {
    return 0;
  }
}

/** A time limit in milliseconds of an idle machine, from now on. */
class TimeLimit {
  #limit;
  #slowdown;
  #spent = 0;
  #looked = performance.now();

  constructor(milliseconds, slowdownNow = slowdown) {
    this.#limit = milliseconds;
    this.#slowdown = slowdownNow;
  }

  /** The remaining milliseconds, if the machine does not get busier; 0 when the limit has passed. */
  left() {
    const now = performance.now();
    this.#spent += (now - this.#looked) / this.#slowdown();
    this.#looked = now;
    return Math.max(this.#limit - this.#spent, 0);
  }
}

/** Calls back when the time limit has passed, unless the returned function is called first. */
function afterTimeLimit(milliseconds, callback) {
  const limit = new TimeLimit(milliseconds);
  let timer;
  const look = () => {
    const left = limit.left();
    if (left === 0) callback();
    else timer = setTimeout(look, Math.min(left, LOOKS));
  };
  look();
  return () => clearTimeout(timer);
}

module.exports = { TimeLimit, afterTimeLimit, slowdown };

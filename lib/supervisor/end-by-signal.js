'use strict';

const { signals } = require('node:os').constants;
const { setTimeout } = require('../real-timers.js');

// How long the system may take to end this process by a signal. Process 1 ignores its own signals.
const SIGNAL_TIMEOUT = 100;
const SIGNALED = 128;

/** The exit code by which shells tell that a signal has ended a process. */
const exitCodeOf = (number) => SIGNALED + number;

/**
 * Ends this process by a signal, as if it had no listener for it; by the exit code for it where the signal does nothing.
 *
 * @param {number} number of the signal
 */
function endBySignal(number) {
  const names = Object.keys(signals).filter((name) => signals[name] === number);
  for (const name of names) process.removeAllListeners(name);
  process.kill(process.pid, number);
  setTimeout(() => process.exit(exitCodeOf(number)), SIGNAL_TIMEOUT);
}

module.exports = { endBySignal, exitCodeOf };

'use strict';

// Node's own timers and clock, as core modules use them. The global ones, and `process.nextTick`, may be
// those of a test runner: they stand still until the test advances them, but workers do not wait. Where a
// runner gives each test file a `process` of its own, the real one is in the context of the thread.

const timers = require('node:timers');
const { runInThisContext } = require('node:vm');

// Taken now, before a test runner replaces them on these objects themselves.
const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers;
const { hrtime, nextTick } = runInThisContext('process');

/** In milliseconds, from some moment. */
function now() {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

module.exports = {
  clearInterval,
  clearTimeout,
  nextTick,
  now,
  setImmediate,
  setInterval,
  setTimeout,
};

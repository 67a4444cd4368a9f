'use strict';

// The clock of Node itself, which a core module goes by. The global one, and `process.nextTick`, may
// be a test runner's: that stands still until the test turns it, while workers do not wait. Where a
// runner gives tests a `process` of their own, the true one is in the context of the thread.

const timers = require('node:timers');
const { runInThisContext } = require('node:vm');

// Taken now, before anybody replaces them on these objects themselves.
const { clearInterval, clearTimeout, setInterval, setTimeout } = timers;
const { nextTick } = runInThisContext('process');

module.exports = { clearInterval, clearTimeout, nextTick, setInterval, setTimeout };

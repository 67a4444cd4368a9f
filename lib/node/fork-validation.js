'use strict';

// Lets the running Node check settings, so that what it throws is its own error. `child_process.fork()` looks
// at the option `signal` last, when all others are good (lib/child_process.js), and the one given here
// throws, so nothing is started.

const { fork } = require('node:child_process');
const errors = require('../errors.js');

/** What the signal throws. An object, because Node gives it a stack. */
const ALL_GOOD = {};
const SIGNAL = new Proxy(
  {},
  {
    has() {
      throw ALL_GOOD;
    },
  },
);

/** @throws what `child_process.fork()` throws for settings of the wrong type */
function validate({ exec, args, execArgv, cwd, stdio, uid, gid, windowsHide }, env) {
  // Node would take an object for the options.
  if (args != null && !Array.isArray(args)) {
    throw errors.invalidArgType('args', 'an instance of Array', args);
  }
  try {
    fork(exec, args, {
      execArgv,
      cwd,
      // A copy, because Node adds to it where permissions are on.
      env: { ...env },
      stdio,
      uid,
      gid,
      windowsHide,
      signal: SIGNAL,
    });
  } catch (error) {
    if (error !== ALL_GOOD) throw error;
  }
}

module.exports = validate;

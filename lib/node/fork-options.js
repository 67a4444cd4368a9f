'use strict';

// Checks and completes settings as `child_process.fork()` does (lib/child_process.js).

const { fork } = require('node:child_process');
const { fileURLToPath } = require('node:url');
const { isUint8Array } = require('node:util/types');
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

/**
 * Lets the running Node check settings, so that what it throws is its own error. `fork()` looks at the option
 * `signal` last, when all others are good, and the one given here throws, so nothing is started.
 *
 * @throws what `fork()` throws for settings of the wrong type
 */
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

/** @param {string | Uint8Array | URL} value a path that Node has accepted */
function toPath(value) {
  return typeof value === 'string' || isUint8Array(value) ? `${value}` : fileURLToPath(value);
}

/** The value as text, up to a null byte. Node refuses strings with a null byte, but not other values. */
function toCString(value) {
  return `${value}`.split('\0', 1)[0];
}

function standardStreams({ stdio, silent }) {
  if (Array.isArray(stdio)) return stdio.slice();
  const all = typeof stdio === 'string' ? stdio : silent ? 'pipe' : 'inherit';
  return all === 'inherit' ? [0, 1, 2, 'ipc'] : [all, all, all, 'ipc'];
}

function environmentPairs(env) {
  const pairs = [];
  // Inherited properties count too.
  for (const name in env) {
    const value = env[name];
    if (value === undefined) continue;
    pairs.push(`${name}=${toCString(value)}`);
  }
  return pairs;
}

module.exports = { environmentPairs, standardStreams, toCString, toPath, validate };

'use strict';

// Completes settings that are good, as `child_process.fork()` does.

const { fileURLToPath } = require('node:url');
const { isUint8Array } = require('node:util/types');

/** A path that is a string, bytes or a URL. */
function toPath(value) {
  return typeof value === 'string' || isUint8Array(value) ? `${value}` : fileURLToPath(value);
}

/** Of a string Node refuses a null byte; of anything else, it takes what is before the null byte. */
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

module.exports = { environmentPairs, standardStreams, toCString, toPath };

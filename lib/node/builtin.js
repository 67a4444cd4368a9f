'use strict';

// Registered, because several copies of this package may be loaded, and there is one seat.
const TAKEN = Symbol.for('rs-cluster.seat');

/** Whether the built-in module of this thread is already served by an engine of ours. */
function isTaken(builtin) {
  return builtin[TAKEN] === true;
}

/** Has `replace` put our members on the built-in module, for all who have loaded it, or will. */
function take(builtin, replace) {
  Object.defineProperty(builtin, TAKEN, { value: true });
  replace();
}

module.exports = { isTaken, take };

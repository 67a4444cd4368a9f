'use strict';

// Registered, because several copies of this package may be loaded, and there is one built-in module.
const REPLACED = Symbol.for('rs-cluster.replaced');

/** Whether the members of this thread's built-in module are already those of an engine of ours. */
function isReplaced(builtin) {
  return builtin[REPLACED] === true;
}

/** Lets `assign` put our members on the built-in module, for all who have loaded it, or will. */
function replace(builtin, assign) {
  Object.defineProperty(builtin, REPLACED, { value: true });
  assign();
}

module.exports = { isReplaced, replace };

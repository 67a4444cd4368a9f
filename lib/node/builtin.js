'use strict';

// Node's built-in cluster module: `lib/internal/cluster/primary.js` or, in a worker, `child.js`.

// Registered, because several copies of this package may be loaded, and there is one built-in module.
const REPLACED = Symbol.for('rs-cluster.replaced');

// Node makes a process a worker whose environment has this variable, and deletes it.
const UNIQUE_ID = 'NODE_UNIQUE_ID';

/** Whether the members of this thread's built-in module are already those of an engine of ours. */
function isReplaced(builtin) {
  return builtin[REPLACED] === true;
}

/** Lets `assign` put our members on the built-in module, for all who have loaded it, or will. */
function replace(builtin, assign) {
  Object.defineProperty(builtin, REPLACED, { value: true });
  assign();
}

/** Replaces the built-in module of a worker, which net and dgram call `_getServer` of. */
function replaceInWorker(builtin, { getServer, ...members }) {
  replace(builtin, () => Object.assign(builtin, { ...members, _getServer: getServer }));
}

/**
 * Removes the listeners that Node has put on `process` for its own cluster module, as it made this process a
 * worker (child.js, _setupWorker). They are the first of their events, because no code of the user has run.
 */
function removeListeners() {
  for (const event of ['error', 'message', 'disconnect', 'internalMessage']) {
    const [first] = process.rawListeners(event);
    if (first !== undefined) process.removeListener(event, first);
  }
}

/**
 * The id of this worker. Node makes no `cluster.worker` where the program comes from the input (`exec: ''`).
 */
function takeId(builtin) {
  const id = builtin.worker?.id ?? Number(process.env[UNIQUE_ID]);
  delete process.env[UNIQUE_ID];
  return id;
}

/** The environment of a worker: with a variable that makes Node consider it one. */
function environmentOf(id, env) {
  return { ...process.env, ...env, [UNIQUE_ID]: `${id}` };
}

/** The same for several workers: without that variable. */
function commonEnvironment(env) {
  const { [UNIQUE_ID]: _id, ...rest } = { ...process.env, ...env };
  return rest;
}

module.exports = {
  commonEnvironment,
  environmentOf,
  isReplaced,
  removeListeners,
  replace,
  replaceInWorker,
  takeId,
};

'use strict';

const { runInThisContext } = require('node:vm');
const { version } = require('./addon/release.js');

// Registered, because several copies of one version may be loaded, and their users mean one cluster.
const INSTANCES = Symbol.for(`rs-cluster.instances ${version}`);

/**
 * The one object that `create` makes for whoever has this global object: a core module outlives
 * a reset of the module registry, as test runners do it. Jest gives each test file globals of its
 * own, and so a cluster of its own. They are not kept on the global object, because Jest takes apart
 * what it finds there when a test file ends, while workers may be about to exit.
 */
function instance(builtin, create) {
  if (builtin[INSTANCES] === undefined) {
    // Of the thread's globals, not of ours, which it would keep for ever.
    Object.defineProperty(builtin, INSTANCES, { value: runInThisContext('new WeakMap()') });
  }
  const instances = builtin[INSTANCES];
  if (!instances.has(globalThis)) instances.set(globalThis, create());
  return instances.get(globalThis);
}

module.exports = instance;

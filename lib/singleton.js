'use strict';

const { runInThisContext } = require('node:vm');
const { version } = require('./addon/release.js');

// Registered, because several copies of one version may be loaded, and are to give the same object.
const INSTANCES = Symbol.for(`rs-cluster.instances ${version}`);

/**
 * The object that `create` makes, once for each global object. The built-in module has it, because that
 * outlives a reset of the module registry by a test runner. Jest gives each test file globals of its own, and
 * therefore a cluster of its own. The object is not kept on the globals, because Jest takes apart what it
 * finds there when a test file ends, while workers may be about to exit.
 */
function singleton(builtin, create) {
  if (builtin[INSTANCES] === undefined) {
    // A map of the thread's own globals: one of this test file's would keep them alive for ever.
    Object.defineProperty(builtin, INSTANCES, { value: runInThisContext('new WeakMap()') });
  }
  const instances = builtin[INSTANCES];
  if (!instances.has(globalThis)) instances.set(globalThis, create());
  return instances.get(globalThis);
}

module.exports = singleton;

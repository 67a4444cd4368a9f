'use strict';

const { runInThisContext } = require('node:vm');
const { Engine } = require('../addon/binding.js');

/**
 * Wraps `handler` so that the engine does not keep it alive. The engine would otherwise keep it for ever, and
 * with it all globals of a test file that is over; so the wrapper is not one of those globals either.
 */
const weakly = runInThisContext(`(handler) => {
  const ref = new WeakRef(handler);
  return (event) => ref.deref()?.(event);
}`);

/** A function that returns the engine, which is made with the first call. It keeps `onEvent` alive. */
function lazyEngine(onEvent) {
  let engine;
  return () => {
    engine ??= new Engine(weakly(onEvent));
    return engine;
  };
}

module.exports = lazyEngine;

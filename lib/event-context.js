'use strict';

const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
const { nextTick } = require('./real-timers.js');
const { Engine } = require('./addon/binding.js');

/** It holds nothing open, which `jest --detectOpenHandles` asks whatever has a type of its own. */
class EventResource extends AsyncResource {
  constructor() {
    super('rs-cluster.Event');
  }

  hasRef() {
    return false;
  }
}

const majorVersion = Number.parseInt(process.versions.node, 10);
/**
 * Whether a store goes with the code that runs, as by default since Node 24, and not with the resource
 * that it runs for. To find out costs older versions speed, so they are asked only if a flag may be set.
 */
const HAS_FRAMES = mayHaveFrames() && forgets(new AsyncLocalStorage());

/** Whether async hooks have ever been enabled. */
let hasHooks = false;
const CHEAP = { requireManualDestroy: true };

/**
 * The asynchronous context in which a worker's events are emitted: that of the code that creates this
 * object. Node emits each of them in a tick of its own, so what a listener puts into an
 * AsyncLocalStorage is never seen by the listeners of another event.
 */
class EventContext {
  /** That of the code that loads this file: of none of the events. */
  static root = new EventContext();

  #resource = new EventResource();

  /** A function that calls back, in a tick of its own, in the context of the code that binds it. */
  static bind(callback) {
    const context = new EventContext();
    return () => context.nextTick(callback);
  }

  /** Calls back in a tick of its own. */
  nextTick(callback, ...args) {
    this.#resource.runInAsyncScope(nextTick, undefined, callback, ...args);
  }

  /**
   * Calls back for each item, as in a tick of its own. A tick is a twentieth of what a small message
   * costs, so there is one for all where only an async hook could see that. Without frames, a store
   * needs hooks.
   */
  forEach(items, callback) {
    if (items.length > 1 && !hooksExist()) {
      this.nextTick(() => this.#forEachInOneTick(items, callback));
    } else this.#forEachInTicks(items, 0, callback);
  }

  /**
   * Calls back at once. The resource is a new one: until Node 22, what is put into an
   * AsyncLocalStorage stays with the resource, and would be seen by the events that follow.
   */
  run(callback, ...args) {
    const own = this.#resource.runInAsyncScope(() => new EventResource());
    return own.runInAsyncScope(callback, undefined, ...args);
  }

  /** Calls back at once, as a handle of Node does, which has one resource for all that it calls. */
  runAgain(callback) {
    this.#resource.runInAsyncScope(callOrReport, undefined, callback);
  }

  #forEachInTicks(items, first, callback) {
    this.#resource.runInAsyncScope(scheduleAll, undefined, items, first, callback);
  }

  #forEachInOneTick(items, callback) {
    let next = 0;
    try {
      // A callback may be the first to use hooks.
      while (next < items.length && (HAS_FRAMES || !hooksExist())) {
        next += 1;
        if (HAS_FRAMES) {
          this.#resource.runInAsyncScope(callOrReport, undefined, callback, items[next - 1]);
        } else callback(items[next - 1]);
      }
    } finally {
      // One that throws does not stop the rest.
      if (next < items.length) this.#forEachInTicks(items, next, callback);
    }
  }
}

/** Handlers of 'uncaughtException' see the context that the exception was thrown in. */
function callOrReport(callback, ...args) {
  try {
    callback(...args);
  } catch (error) {
    Engine.reportUncaught(error);
  }
}

function scheduleAll(items, first, callback) {
  let next = first;
  const callNext = () => {
    next += 1;
    callback(items[next - 1]);
  };
  for (let left = items.length - first; left > 0; left -= 1) nextTick(callNext);
}

/** Whether async hooks are enabled: only for them does Node check that a resource has a type. */
function hooksExist() {
  if (hasHooks) return true;
  try {
    new AsyncResource('', CHEAP);
  } catch {
    hasHooks = true;
  }
  return hasHooks;
}

function mayHaveFrames() {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS];
  return majorVersion >= 24 || flags.some((it) => it?.includes('async-context-frame'));
}

/** Whether what is put into the storage while a resource runs is gone when it runs again. */
function forgets(storage) {
  const resource = new EventResource();
  resource.runInAsyncScope(() => storage.enterWith('something'));
  const isGone = resource.runInAsyncScope(() => storage.getStore() === undefined);
  storage.disable();
  return isGone;
}

module.exports = EventContext;

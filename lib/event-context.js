'use strict';

const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');
const { nextTick } = require('./real-timers.js');
const { Engine } = require('./addon/binding.js');

/** `jest --detectOpenHandles` asks resources of an unknown type whether they keep the event loop running. */
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
 * Whether an AsyncLocalStorage binds its store to the code that runs, as it does by default since Node 24, or
 * to the resource that the code runs for. Finding out slows older versions down, so they are examined only if
 * a flag may change what they do.
 */
const HAS_FRAMES = mayHaveFrames() && forgets(new AsyncLocalStorage());

/** Whether async hooks have been found enabled. */
let hasHooks = false;
const CHEAP = { requireManualDestroy: true };

/**
 * The asynchronous context in which a worker's events are emitted: that of the code that creates this
 * object. Node emits each event in a tick of its own, so listeners of one event never see what those of
 * another put into an AsyncLocalStorage.
 */
class EventContext {
  /** The context of the code that loads this file, which is outside of all events. */
  static root = new EventContext();

  #resource = new EventResource();

  /** Returns a function that calls back in a tick of its own, in the context of the code that binds it. */
  static bind(callback) {
    const context = new EventContext();
    return () => context.nextTick(callback);
  }

  /** Calls back in a tick of its own. */
  nextTick(callback, ...args) {
    this.#resource.runInAsyncScope(nextTick, undefined, callback, ...args);
  }

  /**
   * Calls back for each item as if in a tick of its own. A tick costs about 5 % of a small message, so all
   * items share one tick unless async hooks are enabled, which alone could see the difference. (Where stores
   * are bound to resources, an AsyncLocalStorage enables hooks.)
   */
  forEach(items, callback) {
    if (items.length > 1 && !hooksExist()) {
      this.nextTick(() => this.#forEachInOneTick(items, callback));
    } else this.#forEachInTicks(items, 0, callback);
  }

  /**
   * Calls back at once. The resource is a new one: until Node 22, a store stays with the resource, so the
   * events that follow would see it.
   */
  run(callback, ...args) {
    const own = this.#resource.runInAsyncScope(() => new EventResource());
    return own.runInAsyncScope(callback, undefined, ...args);
  }

  /** Calls back at once, always for the same resource, as a handle of Node's own does. */
  runAgain(callback) {
    this.#resource.runInAsyncScope(callOrReport, undefined, callback);
  }

  #forEachInTicks(items, first, callback) {
    this.#resource.runInAsyncScope(scheduleAll, undefined, items, first, callback);
  }

  #forEachInOneTick(items, callback) {
    let next = 0;
    try {
      // A callback may enable hooks.
      while (next < items.length && (HAS_FRAMES || !hooksExist())) {
        next += 1;
        if (HAS_FRAMES) {
          this.#resource.runInAsyncScope(callOrReport, undefined, callback, items[next - 1]);
        } else callback(items[next - 1]);
      }
    } finally {
      // If a callback throws, the others are called nevertheless.
      if (next < items.length) this.#forEachInTicks(items, next, callback);
    }
  }
}

/**
 * Reports an exception at once, so listeners of 'uncaughtException' see the context that it was thrown in.
 */
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

/**
 * Whether async hooks are enabled: only then does Node refuse a resource without a type (lib/async_hooks.js).
 */
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

/** Whether the storage has lost its store when the resource that it was set for runs again. */
function forgets(storage) {
  const resource = new EventResource();
  resource.runInAsyncScope(() => storage.enterWith('something'));
  const isGone = resource.runInAsyncScope(() => storage.getStore() === undefined);
  storage.disable();
  return isGone;
}

module.exports = EventContext;

'use strict';

const { AsyncResource } = require('node:async_hooks');
const { nextTick } = require('./clock');

/** It holds nothing open, which `jest --detectOpenHandles` asks whatever has a type of its own. */
class EventResource extends AsyncResource {
  constructor() {
    super('rs-cluster.Event');
  }

  hasRef() {
    return false;
  }
}

/**
 * The asynchronous context in which a worker's events are emitted: that of the code that creates this
 * object. Node emits each of them in a tick of its own, so what a listener puts into an
 * AsyncLocalStorage is never seen by the listeners of another event.
 */
class EventContext {
  /** That of the code that loads this file: of none of the events. */
  static root = new EventContext();

  #resource = new EventResource();

  /** A function that calls back in the context of the code that binds it. */
  static bind(callback) {
    const context = new EventContext();
    return () => context.run(callback);
  }

  /** Calls back in a tick of its own. */
  nextTick(callback, ...args) {
    this.#resource.runInAsyncScope(nextTick, undefined, callback, ...args);
  }

  /** Calls back so many times, each time in a tick of its own. */
  nextTicks(count, callback) {
    this.#resource.runInAsyncScope(scheduleAll, undefined, count, callback);
  }

  /**
   * Calls back at once. The resource is a new one: until Node 22, what is put into an
   * AsyncLocalStorage stays with the resource, and would be seen by the events that follow.
   */
  run(callback, ...args) {
    const own = this.#resource.runInAsyncScope(() => new EventResource());
    return own.runInAsyncScope(callback, undefined, ...args);
  }
}

function scheduleAll(count, callback) {
  for (let left = count; left > 0; left -= 1) nextTick(callback);
}

module.exports = EventContext;

'use strict';

const EventEmitter = require('node:events');

/** The workers for which `isPaused()` is true. Workers have no property for it, as in Node. */
const paused = new WeakSet();

/** The workers for which `isDraining()` is true. */
const draining = new WeakSet();

function markDraining(worker) {
  draining.add(worker);
}

function markPaused(worker, isPaused) {
  if (isPaused) paused.add(worker);
  else paused.delete(worker);
}

/**
 * Makes the class `cluster.Worker`. Each role has a class of its own, with other methods `disconnect` and
 * `destroy`.
 *
 * @param {object} methods
 * @param {(isPaused: boolean) => void} methods.tellPaused called on a worker; informs the engine and the other
 *   end
 * @param {object} [methods.own] methods of this role alone
 */
function defineWorker({ disconnect, destroy, tellPaused, own }) {
  function setPaused(worker, isPaused) {
    markPaused(worker, isPaused);
    tellPaused.call(worker, isPaused);
    return worker;
  }

  // A function rather than a class: `cluster.Worker(options)` works without `new`.
  function Worker(options) {
    if (!(this instanceof Worker)) return new Worker(options);
    EventEmitter.call(this);
    const { id, process, state } = options !== null && typeof options === 'object' ? options : {};
    this.exitedAfterDisconnect = undefined;
    this.state = state || 'none';
    this.id = id | 0;
    if (process) {
      this.process = process;
      process.on('error', (...args) => this.emit('error', ...args));
      process.on('message', (message, handle) => this.emit('message', message, handle));
      process.on('drain', () => this.emit('drain'));
    }
  }
  Object.setPrototypeOf(Worker, EventEmitter);
  Object.setPrototypeOf(Worker.prototype, EventEmitter.prototype);

  Object.assign(Worker.prototype, {
    disconnect,
    destroy,
    kill(...args) {
      this.destroy(...args);
    },
    send(...args) {
      return this.process.send(...args);
    },
    isDead() {
      return this.process.exitCode != null || this.process.signalCode != null;
    },
    isConnected() {
      return this.process.connected;
    },
    pause() {
      return setPaused(this, true);
    },
    resume() {
      return setPaused(this, false);
    },
    isPaused() {
      return paused.has(this);
    },
    isDraining() {
      return draining.has(this);
    },
    ...own,
  });
  // The name of `exitedAfterDisconnect` in Node 0.11.
  Object.defineProperty(Worker.prototype, 'suicide', {
    configurable: true,
    get() {
      return this.exitedAfterDisconnect;
    },
    set(value) {
      this.exitedAfterDisconnect = value;
    },
  });
  return Worker;
}

module.exports = { defineWorker, markDraining, markPaused };

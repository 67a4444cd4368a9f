'use strict';

const { clearTimeout, setTimeout } = require('../real-timers.js');

/**
 * The graceful kills under way. Each worker has been asked to disconnect; most exit by themselves then,
 * and write a profile or what they have covered while they do, which a signal would cut short. So the
 * signal is sent when the worker says that something else holds its event loop, when its time is over,
 * or when this process exits.
 */
class Kills {
  /** By the worker's id: the worker, the signal, and timers, of which the first sends it. */
  #pending = new Map();
  /** Workers that have disconnected and stay, by id. */
  #staying = new Set();
  /** Listens only while there are any. */
  #onExit = () => this.#sendAll();

  /** The last signal asked for counts, and the shortest time. */
  begin(worker, signal, timeout) {
    if (this.#staying.has(worker.id)) {
      worker.process.kill(signal);
      return;
    }
    if (this.#pending.size === 0) process.on('exit', this.#onExit);
    const timers = this.#pending.get(worker.id)?.timers ?? [];
    timers.push(setTimeout(() => this.#send(worker.id), timeout));
    this.#pending.set(worker.id, { worker, signal, timers });
  }

  /** The worker has disconnected as it was asked to, and does not exit. */
  stays(id) {
    this.#staying.add(id);
    if (this.#pending.has(id)) this.#send(id);
  }

  /** The worker has exited. */
  forget(id) {
    this.#staying.delete(id);
    this.#end(id);
  }

  #end(id) {
    for (const timer of this.#pending.get(id)?.timers ?? []) clearTimeout(timer);
    if (this.#pending.delete(id) && this.#pending.size === 0) {
      process.removeListener('exit', this.#onExit);
    }
  }

  #send(id) {
    const { worker, signal } = this.#pending.get(id);
    this.#end(id);
    worker.process.kill(signal);
  }

  #sendAll() {
    for (const id of this.#pending.keys()) {
      try {
        this.#send(id);
      } catch {
        // It is refused, and too late to tell. The others are to be sent.
      }
    }
  }
}

module.exports = Kills;

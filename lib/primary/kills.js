'use strict';

const { signals } = require('node:os').constants;
const { clearTimeout, setTimeout } = require('../real-timers.js');

/**
 * The graceful kills under way. Each worker has been asked to disconnect. Most workers then exit by
 * themselves, and write their profile or coverage, which a signal would cut short. So the signal is sent when
 * the worker reports that something else keeps its event loop running, when its time is over, or when this
 * process exits.
 */
class Kills {
  /** `{worker, signal, timers}`, by the worker's id. The first timer that fires sends the signal. */
  #pending = new Map();
  /** Ids of workers that have disconnected and do not exit. */
  #staying = new Set();
  /** A listener of 'exit' while there are kills. */
  #onExit = () => this.#sendAll();

  /** If a worker is killed several times, the last signal and the shortest time apply. */
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
        // The system refuses it, and it is too late for an 'error'. The others must be sent nevertheless.
      }
    }
  }
}

function isSignal(signal) {
  if (typeof signal === 'number') return Object.values(signals).includes(signal);
  return typeof signal === 'string' && Object.hasOwn(signals, signal.toUpperCase());
}

function isSigkill(signal) {
  return signal === signals.SIGKILL || `${signal}`.toUpperCase() === 'SIGKILL';
}

module.exports = { Kills, isSigkill, isSignal };

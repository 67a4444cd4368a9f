'use strict';

const emitThen = require('../emit-then.js');
const { exitedAfterDisconnect } = require('../ipc/internal-messages.js');
const { clearTimeout, nextTick, setTimeout } = require('../real-timers.js');

// How long after it has disconnected a worker reports that it still runs, in milliseconds.
const STAY_REPORT_DELAY = 200;
// How long a worker that leaves waits for answers to its queries, in milliseconds.
const ANSWER_TIMEOUT = 200;

/** How this worker disconnects, by its own calls or as the primary asks, and what it does then. */
class Leaving {
  /** Whether the primary is about to send a signal, unless this worker exits by itself. */
  isKilled = false;
  #lanes;
  #channel;
  #listeners;
  #worker;
  /** Whether this process exits once it has disconnected, because `worker.kill()` was called in it. */
  #exits = false;
  /** What waits for the primary to know that this worker leaves of its own accord: callbacks, in order. */
  #unacknowledged = [];
  /** What waits for answers to queries as well: `{isAnswered, callback, deadline}`. */
  #unanswered = new Set();
  /** Our listener of 'disconnect'. */
  #onDisconnect;

  constructor({ lanes, channel, listeners, worker }) {
    this.#lanes = lanes;
    this.#channel = channel;
    this.#listeners = listeners;
    this.#worker = worker;
    const onDisconnect = () => this.#disconnected();
    this.#onDisconnect = onDisconnect;
    listeners.onAnswered = () => this.#endAnsweredWaits();
  }

  start() {
    process.once('disconnect', this.#onDisconnect);
  }

  /** `worker.disconnect()`. */
  disconnect(worker) {
    if (worker.state === 'disconnecting' || worker.state === 'destroying') return;
    worker.state = 'disconnecting';
    this.#closeServers(() => this.#announce(() => this.#closeChannel()));
  }

  /** The primary has called `disconnect()` of this worker. */
  disconnectAsAsked() {
    this.#closeServers(() => this.#closeChannel());
  }

  /** `worker.kill()`. */
  destroy(worker) {
    if (worker.state === 'destroying') return;
    worker.exitedAfterDisconnect = true;
    if (!worker.isConnected()) process.exit(0);
    worker.state = 'destroying';
    this.#exits = true;
    this.#announce(() => process.disconnect());
  }

  /** Calls back when all servers have closed, and their addresses are free. */
  #closeServers(callback) {
    this.#listeners.isLeaving = true;
    this.#worker.exitedAfterDisconnect = true;
    this.#listeners.close(callback);
  }

  #closeChannel() {
    if (!process.connected) return;
    if (this.#listeners.isEmpty) {
      process.disconnect();
      return;
    }
    // Servers that have come to listen meanwhile would keep the process running, and their addresses. They
    // emit 'listening' in the next tick.
    nextTick(nextTick, () => {
      this.#listeners.closeAll();
      if (process.connected) process.disconnect();
    });
  }

  /** Tells the primary that the disconnect to come is intended, then calls back. */
  #announce(callback) {
    const isAnswered = this.#listeners.answeredCheck();
    this.#unacknowledged.push(() => {
      if (isAnswered()) {
        callback();
        return;
      }
      // If the engine has learnt first that this worker leaves, it answers no query.
      const wait = { isAnswered, callback };
      wait.deadline = setTimeout(() => this.#endWait(wait), ANSWER_TIMEOUT);
      this.#unanswered.add(wait);
    });
    this.#channel.sendInternal(exitedAfterDisconnect());
  }

  /** The primary has answered an announcement. */
  onAcknowledged() {
    this.#unacknowledged.shift()?.();
  }

  /** In Node the answers to earlier queries come before the acknowledgement, on the same channel. */
  #endAnsweredWaits() {
    for (const wait of this.#unanswered) {
      // After 'listening', which the answer leads to in the next tick.
      if (wait.isAnswered()) nextTick(nextTick, () => this.#endWait(wait));
    }
  }

  #endWait(wait) {
    if (!this.#unanswered.delete(wait)) return;
    clearTimeout(wait.deadline);
    wait.callback();
  }

  /**
   * The channel is closed, so the primary answers no more. What waits for that comes before 'disconnect',
   * because its listeners may end this process.
   */
  beforeDisconnect(callback) {
    if (!this.#listeners.isClosing) {
      callback();
      return;
    }
    this.#listeners.endClosing();
    nextTick(callback);
  }

  #disconnected() {
    // From now on this process may outlive its primary, unless that was about to kill it.
    if (!this.isKilled) this.#lanes.disarmWatchdog();
    emitThen(
      () => this.#worker.emit('disconnect'),
      // The primary has exited, or died.
      () => this.#worker.exitedAfterDisconnect || process.exit(0),
    );
  }

  /** After 'disconnect'. Our listener was not called if one before it has thrown. */
  onDisconnected() {
    // The timer fires only if something else keeps the event loop running.
    setTimeout(() => this.#lanes.stays(), STAY_REPORT_DELAY).unref();
    const end = () => this.#exits && process.exit(0);
    if (!process.listeners('disconnect').includes(this.#onDisconnect)) {
      end();
      return;
    }
    process.removeListener('disconnect', this.#onDisconnect);
    emitThen(() => this.#disconnected(), end);
  }
}

module.exports = Leaving;

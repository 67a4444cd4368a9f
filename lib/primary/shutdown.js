'use strict';

const LoopRef = require('../loop-ref.js');

/**
 * The callbacks of `cluster.disconnect()`. They are called when no worker is connected any longer, and the
 * engine has closed all listeners.
 */
class Shutdown {
  #askEngine;
  /** Callbacks that wait for workers to disconnect. */
  #waiting = [];
  /** Callbacks that wait for the engine: `{context, callbacks}`, by token. */
  #asked = new Map();
  #lastToken = 0;
  /** Keeps the primary running until the engine has answered. */
  #loopRef = new LoopRef();

  /** @param {(token: number) => void} askEngine makes the engine answer when it has closed all listeners */
  constructor(askEngine) {
    this.#askEngine = askEngine;
  }

  add(callback) {
    this.#waiting.push(callback);
  }

  /** No worker is connected any longer. The callbacks are called in this context. */
  allDisconnected(context) {
    if (this.#waiting.length === 0) return;
    this.#lastToken += 1;
    this.#asked.set(this.#lastToken, { context, callbacks: this.#waiting.splice(0) });
    this.#loopRef.ref();
    this.#askEngine(this.#lastToken);
  }

  /** The engine has closed all listeners. */
  allClosed(token) {
    const { context, callbacks } = this.#asked.get(token);
    this.#asked.delete(token);
    if (this.#asked.size === 0) this.#loopRef.unref();
    // Each in a tick of its own, so that one that throws does not stop the others.
    for (const callback of callbacks) context.nextTick(callback);
  }
}

module.exports = Shutdown;

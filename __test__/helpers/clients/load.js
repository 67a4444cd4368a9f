'use strict';

const { EventEmitter, once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');

// The longest time that a client thinks between two requests, in milliseconds.
const LONGEST_THOUGHT = 3;
// An answer that takes longer counts as missing.
const ANSWERED_WITHIN = 10_000;

/**
 * Clients that send one request after the other, and never send one again after a failure.
 * `ask({ client, number, signal })` resolves when the request has been answered as it should.
 */
class Load extends EventEmitter {
  failures = [];
  /** The answered requests of each client. */
  answered;
  #ask;
  #close;
  #ended = false;
  #loops;

  /** `close` ends all connections after the last request. */
  constructor(clients, { ask, close }) {
    super();
    this.#ask = ask;
    this.#close = close;
    this.answered = new Array(clients).fill(0);
    this.#loops = this.answered.map((_, client) => this.#run(client));
  }

  /** Resolves when each client has got this many more answers, or a request has failed. */
  async more(count) {
    const wanted = this.answered.map((answered) => answered + count);
    const isReached = () => wanted.every((number, client) => this.answered[client] >= number);
    while (!isReached() && this.failures.length === 0) await once(this, 'news');
  }

  /** Lets the clients finish their last requests. */
  async end() {
    this.#ended = true;
    await Promise.all(this.#loops);
    this.#close();
  }

  async #run(client) {
    for (let number = 0; ; number += 1) {
      await pause(Math.random() * LONGEST_THOUGHT);
      if (this.#ended) return;
      await this.#send({ client, number });
      this.emit('news');
    }
  }

  async #send(request) {
    const { client, number } = request;
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), ANSWERED_WITHIN);
    try {
      await this.#ask({ ...request, signal: controller.signal });
      this.answered[client] += 1;
    } catch ({ code, message }) {
      this.failures.push(`request ${number} of client ${client}: ${code ?? ''} ${message}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Throws unless an answer is the expected one. */
function check(answer, expected) {
  if (answer === expected) return;
  throw new Error(`got ${shortened(answer)} instead of ${shortened(expected)}`);
}

const shortened = (value) => `${String(value).slice(0, 40)} (length ${value.length})`;

module.exports = { Load, check };

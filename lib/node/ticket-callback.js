'use strict';

// Node asks JavaScript for the key of each session ticket, if told to (src/crypto/crypto_context.cc,
// TicketKeyCallback). Only so a server can take the tickets of an earlier key: Node's own `ticketKeys` is one key.

// What OpenSSL is told: the ticket is not for these keys; go on; go on, and replace the ticket by one of the current key.
const UNKNOWN = 0;
const KNOWN = 1;
const OUTDATED = 2;

const PART = 16;
// How many initialization vectors are made at a time.
const VECTORS = 256;

/** Answers for all contexts of this process. */
class TicketCallback {
  #keys = [];
  /** By context: keys that the program has set since. */
  #own = new WeakMap();
  #pool;
  #used = VECTORS;

  /** @param {Buffer[]} keys of 48 bytes, the current one first */
  setKeys(keys) {
    this.#keys = keys.map(partsOf);
  }

  /** From now on this context has these keys, which are the program's, and no others. */
  setOwnKeys(context, keys) {
    this.#own.set(context, [partsOf(Buffer.from(keys))]);
  }

  /** Has Node ask for the tickets of this context. Without effect where a version of Node can't. */
  enable(context) {
    if (typeof context.enableTicketKeyCallback !== 'function') return;
    context.onticketkeycallback = (name, _vector, isNew) => {
      const keys = this.#own.get(context) ?? this.#keys;
      return isNew ? this.#toMake(keys[0]) : toTake(keys, name);
    };
    context.enableTicketKeyCallback();
  }

  #toMake({ name, hmac, aes }) {
    return [KNOWN, hmac, aes, name, this.#nextVector()];
  }

  /** Random bytes cost most of what a ticket costs in JavaScript, unless many are made at a time. */
  #nextVector() {
    if (this.#used === VECTORS) {
      this.#pool ??= Buffer.allocUnsafeSlow(PART * VECTORS);
      require('node:crypto').randomFillSync(this.#pool);
      this.#used = 0;
    }
    const start = this.#used * PART;
    this.#used += 1;
    return this.#pool.subarray(start, start + PART);
  }
}

function toTake(keys, name) {
  const index = keys.findIndex((key) => key.name.equals(name));
  const { hmac, aes } = keys[Math.max(index, 0)];
  if (index === -1) return [UNKNOWN, hmac, aes];
  return [index === 0 ? KNOWN : OUTDATED, hmac, aes];
}

function partsOf(key) {
  return {
    name: key.subarray(0, PART),
    hmac: key.subarray(PART, 2 * PART),
    aes: key.subarray(2 * PART),
  };
}

module.exports = TicketCallback;

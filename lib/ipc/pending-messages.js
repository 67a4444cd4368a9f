'use strict';

const Fifo = require('../fifo.js');

// The memory of a worker that never listens must not grow with what it is sent. docs/api.md names both
// limits.
const MOST_MESSAGES = 1000;
const MOST_BYTES = 4 * 1024 * 1024;

let hasWarned = false;

/**
 * Messages that came before 'message' had a listener, in order, up to a limit. Node's own module drops them
 * all.
 */
class PendingMessages {
  #entries = new Fifo();
  #bytes = 0;

  get length() {
    return this.#entries.length;
  }

  /** Keeps a message, beyond the limit too. */
  push(message, handle, bytes) {
    this.#entries.push({ message, handle, bytes });
    this.#bytes += bytes;
  }

  /** Keeps a message within the limit. Otherwise drops it, and closes its handle. */
  pushOrDrop(message, handle, bytes) {
    if (this.length < MOST_MESSAGES && this.#bytes + bytes <= MOST_BYTES) {
      this.push(message, handle, bytes);
      return;
    }
    warn();
    close(handle);
  }

  /** Removes the first message. Returns `[message, handle]`. */
  shift() {
    const { message, handle, bytes } = this.#entries.shift();
    this.#bytes -= bytes;
    return [message, handle];
  }
}

/** Once in a process, however many messages it drops. */
function warn() {
  if (hasWarned) return;
  hasWarned = true;
  const dropped =
    "Messages to this worker are dropped, because it has no listener of 'message', and has kept " +
    `all that it may: ${MOST_MESSAGES} messages, or ${MOST_BYTES / 1024 ** 2} MiB`;
  process.emitWarning(dropped, 'MessagesDroppedWarning');
}

/** Closes any handle that a message can have. Only net.Socket has no `close()`. */
function close(handle) {
  if (typeof handle?.destroy === 'function') handle.destroy();
  else handle?.close();
}

module.exports = PendingMessages;

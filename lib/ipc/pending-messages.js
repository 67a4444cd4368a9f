'use strict';

const Fifo = require('../fifo.js');

// A worker that never listens must not grow by what it is sent. docs/api.md names both limits.
const MOST_MESSAGES = 1000;
const MOST_BYTES = 4 * 1024 * 1024;

let hasWarned = false;

/**
 * Messages that came before the worker listened to messages: `[message, handle]`, in order. There
 * is room for so many only; node:cluster keeps none.
 */
class PendingMessages {
  #entries = new Fifo();
  #bytes = 0;

  get length() {
    return this.#entries.length;
  }

  /** Keeps a message. */
  push(message, handle, bytes) {
    this.#entries.push({ message, handle, bytes });
    this.#bytes += bytes;
  }

  /** Keeps a message if there is room for it, or drops it, and closes its handle. */
  pushOrDrop(message, handle, bytes) {
    if (this.length < MOST_MESSAGES && this.#bytes + bytes <= MOST_BYTES) {
      this.push(message, handle, bytes);
      return;
    }
    warn();
    close(handle);
  }

  shift() {
    const { message, handle, bytes } = this.#entries.shift();
    this.#bytes -= bytes;
    return [message, handle];
  }
}

/** Once for a process, however many messages it drops. */
function warn() {
  if (hasWarned) return;
  hasWarned = true;
  const dropped =
    "Messages to this worker are dropped, because it has no listener of 'message', and has kept " +
    `all that it may: ${MOST_MESSAGES} messages, or ${MOST_BYTES / 1024 ** 2} MiB`;
  process.emitWarning(dropped, 'MessagesDroppedWarning');
}

/** Any handle that a message can have; net.Socket alone has no `close()`. */
function close(handle) {
  if (typeof handle?.destroy === 'function') handle.destroy();
  else handle?.close();
}

module.exports = PendingMessages;

'use strict';

const { constants, openSync, writeSync } = require('node:fs');
const { isatty } = require('node:tty');
const { setTimeout } = require('../real-timers.js');

const STDERR = 2;
/** How much may wait for a terminal or a pipe that takes nothing at the moment, in bytes. */
const MOST_WAITING = 256 * 1024;
const RETRY_DELAY = 50;
/** How long to wait for it when this process exits, in milliseconds. */
const PATIENCE = 1000;

/**
 * Writes the lines of a log to stderr. A log must not stop a service, so a full disk, a closed pipe and a
 * terminal that is gone cost lines, which are counted, and nothing else. `process.stderr` would write nothing
 * more after the first error.
 */
class LogOutput {
  #fd;
  #onLost;
  /** What is not written yet: lines, the first of which may have been written in part. */
  #waiting = [];
  #size = 0;
  #lost = 0;
  #timer;

  /**
   * @param {(count: number) => string} onLost the line that tells how many have been lost
   * @param {number} [fd]
   */
  constructor(onLost, fd = unblocked(STDERR)) {
    this.#onLost = onLost;
    this.#fd = fd;
    process.on('exit', () => this.#flush());
  }

  /** @param {string} text whole lines */
  write(text) {
    const bytes = Buffer.from(text);
    if (this.#size + bytes.length > MOST_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(bytes);
    this.#size += bytes.length;
    this.#writeWaiting();
  }

  #writeWaiting() {
    while (this.#waiting.length > 0) {
      const written = this.#writeOne(this.#waiting[0]);
      if (written === undefined) {
        this.#timer ??= setTimeout(() => this.#retry(), RETRY_DELAY).unref();
        return false;
      }
      this.#size -= written;
      const rest = this.#waiting[0].subarray(written);
      if (rest.length > 0) this.#waiting[0] = rest;
      else {
        this.#waiting.shift();
        this.#tellLost();
      }
    }
    return true;
  }

  #retry() {
    this.#timer = undefined;
    this.#writeWaiting();
  }

  /** How many bytes are done with; undefined if none can be written now. */
  #writeOne(bytes) {
    try {
      return writeSync(this.#fd, bytes);
    } catch ({ code }) {
      if (code === 'EAGAIN') return undefined;
      this.#lost += 1;
      return bytes.length;
    }
  }

  /** A line has been dealt with. Unless it has been lost itself, it is known now that lines can be written. */
  #tellLost() {
    const lost = this.#lost;
    if (lost === 0) return;
    const line = Buffer.from(this.#onLost(lost));
    try {
      if (writeSync(this.#fd, line) === line.length) this.#lost = 0;
    } catch {
      // Still none can be written.
    }
  }

  #flush() {
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let left = PATIENCE; left > 0 && !this.#writeWaiting(); left -= RETRY_DELAY) {
      Atomics.wait(clock, 0, 0, RETRY_DELAY);
    }
  }
}

/**
 * The terminal, if the descriptor is one, opened again: writing to it does not wait, even if its user has stopped its
 * output by Ctrl-S. The descriptor itself is shared with the workers, which expect it to wait.
 */
function unblocked(fd) {
  if (!isatty(fd)) return fd;
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    return openSync(`/dev/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    // That of another user, after `su`.
    return fd;
  }
}

module.exports = LogOutput;

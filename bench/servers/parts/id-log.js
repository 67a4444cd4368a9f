'use strict';

// The server's side of the ids: which requests a worker has begun and finished. The load generator has the
// other side, and bench/lib/ids.js compares the two.

const fs = require('node:fs');

/**
 * Appends a line for each event of a request to a file that all workers may share: `b ID PID` when it has
 * begun, `f ID` when its answer has been handed to the kernel, `a ID` when its connection ended before.
 * Lines are written in batches, one for each turn of the event loop.
 */
class IdLog {
  #descriptor;
  #lines = '';
  #isScheduled = false;
  #flush = () => {
    this.#isScheduled = false;
    if (this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    fs.writeSync(this.#descriptor, lines);
  };

  /** @param {string} file which may exist already */
  constructor(file) {
    this.#descriptor = fs.openSync(file, 'a');
    process.on('exit', this.#flush);
  }

  /** Notes that a request has begun, and listens for its end. */
  follow(id, response) {
    this.note('b', `${id} ${process.pid}`);
    response.once('close', () => this.note(response.writableFinished ? 'f' : 'a', id));
  }

  note(event, text) {
    this.#lines += `${event} ${text}\n`;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }
}

/** Notes nothing. */
const NO_LOG = { follow() {}, note() {} };

module.exports = { openIdLog: (file) => (file ? new IdLog(file) : NO_LOG) };

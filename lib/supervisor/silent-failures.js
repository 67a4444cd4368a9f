'use strict';

const { failure } = require('./failures.js');

/** Failures that leave no trace of their own: nothing exits, and nothing is written to stderr. */
const SILENT = ['fork', 'timeout'];

/** Warns of failures that are followed by another try, so that no promise is rejected. Once for each kind. */
class SilentFailures {
  #known = new Set();
  #options;

  /** @param {object} options those of the supervisor */
  constructor(options) {
    this.#options = options;
  }

  /** @param {object} report the engine's, as for `failure()` */
  report(report) {
    const { what, errno, syscall, missing } = report;
    if (!SILENT.includes(what)) return;
    const kind = JSON.stringify([what, errno, syscall, missing]);
    if (this.#known.has(kind)) return;
    this.#known.add(kind);
    const { message, code } = failure(report, this.#options);
    process.emitWarning(message, { type: 'SupervisorWarning', code });
  }
}

module.exports = SilentFailures;

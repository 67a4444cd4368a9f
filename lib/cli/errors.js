'use strict';

const { writeSync } = require('node:fs');

const STDERR = 2;
const EXIT = { done: 0, failed: 1, usage: 2 };

/** What the command line reports in one line, and ends with. */
class CliError extends Error {
  /**
   * @param {string} message without a period at its end
   * @param {object} [more]
   * @param {number} [more.exitCode]
   * @param {string} [more.hint] what to do, printed after the message
   * @param {string} [more.code] for `--json`
   * @param {object} [more.details] further members for `--json`
   */
  constructor(message, { exitCode = EXIT.failed, hint, code, details } = {}) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
    this.code = code;
    this.details = details;
  }
}

/** An error of the command line itself. */
function usageError(message, hint) {
  return new CliError(message, { exitCode: EXIT.usage, hint, code: 'ERR_RS_CLUSTER_USAGE' });
}

/** As `--json` prints it. */
function toJson({ message, hint, code, details }) {
  return { error: { message, ...(code && { code }), ...(hint && { hint }), ...details } };
}

/** Writes a line to stderr, even if that is a full disk or a terminal that is gone. */
function writeError(message, hint) {
  const { printable } = require('./style.js');
  try {
    writeSync(STDERR, printable(`rs-cluster: ${message}${hint ? `. ${hint}` : ''}\n`));
  } catch {
    // There is nothing else to tell it by.
  }
}

module.exports = { CliError, EXIT, toJson, usageError, writeError };

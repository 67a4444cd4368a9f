'use strict';

const { closeSync, openSync } = require('node:fs');

/** How long to wait for a terminal that is blocked when this process exits, in milliseconds. */
const PATIENCE = 1000;

const ignore = () => {};

/** Whether this process has a controlling terminal: only then the system opens this file. */
function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/**
 * Keeps this process from ending because nothing takes its output any longer: the terminal is gone, or what
 * reads the log. That holds until it exits, because what it writes at its end would change its exit code.
 */
function ignoreOutputErrors() {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignore);
}

/** Before this process exits, writes what workers have written to pipes that the engine copies. */
function flushOutputOnExit(engine) {
  process.on('exit', () => engine.flushOutput(PATIENCE));
}

module.exports = { flushOutputOnExit, hasTerminal, ignoreOutputErrors };

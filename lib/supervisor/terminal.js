'use strict';

const { closeSync, fstatSync, openSync } = require('node:fs');
const { isatty } = require('node:tty');

/** How long to wait for a terminal that is blocked when this process exits, in milliseconds. */
const PATIENCE = 1000;
/** The descriptors of the standard input, output and error. */
const STANDARD = [0, 1, 2];

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
  process.on('exit', () => {
    engine.flushOutput(PATIENCE);
    for (const descriptor of STANDARD) replaceLostTerminal(descriptor);
  });
}

/**
 * Node resets the terminals that it was started with when it exits, and before version 22 aborts if one of them has
 * been closed. It leaves a descriptor of another file alone.
 */
function replaceLostTerminal(descriptor) {
  try {
    if (isatty(descriptor) || !fstatSync(descriptor).isCharacterDevice()) return;
    closeSync(descriptor);
    openSync('/dev/null', 'r+');
  } catch {
    // The descriptor was closed before, or the system has no such device: there is nothing to replace it by.
  }
}

module.exports = { flushOutputOnExit, hasTerminal, ignoreOutputErrors };

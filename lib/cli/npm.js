'use strict';

// npm, npx and their likes start a command by a shell, which a signal ends without being passed on.

/** How often to look, in milliseconds. */
const INTERVAL = 500;

/**
 * Calls back when the shell has gone by which npm has started this process. Does nothing without npm: there a process
 * whose parent has ended is meant to run on.
 *
 * @param {() => void} callback
 */
function whenNpmEnds(callback) {
  const { npm_lifecycle_event: event, npm_command: command } = process.env;
  const parent = process.ppid;
  // Process 1 is not a shell, and does not end before this process.
  if ((event === undefined && command === undefined) || parent === 1) return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, INTERVAL);
  timer.unref();
}

module.exports = { whenNpmEnds };

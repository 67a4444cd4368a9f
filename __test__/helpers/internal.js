'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { start } = require('./fixture');
const { MIN_UPTIME } = require('./programs');
const { temporaryDirectory } = require('./temporary');

/**
 * Starts `fixtures/supervise/internal.js`, which supervises a program as the command line does.
 *
 * @param {object} how
 * @param {string} how.program its source
 * @param {object} [how.options] for `supervise()`
 * @param {object} [how.internal] what that does not offer
 */
function startInternal(t, { program, options, internal = {}, ...how }) {
  const directory = temporaryDirectory(t);
  const exec = path.join(directory, 'program.js');
  writeFileSync(exec, program);
  const defaults = { exec, directory, workers: 2, minUptime: MIN_UPTIME, restartDelay: 50 };
  const args = [{ ...defaults, ...options }, internal];
  const app = start(t, 'supervise/internal', { args, ...how });
  const ready = () => app.line({ on: 'supervisor', event: 'ready' });
  return Object.assign(app, { directory, exec, ready });
}

module.exports = { startInternal };

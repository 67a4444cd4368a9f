'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { BIN, freshUser, jsonOf, runCli } = require('./cli');
const { get } = require('./client');
const { start } = require('./fixture');
const { freePort } = require('./free-port');
const { serves } = require('./programs');
const { temporaryDirectory } = require('./temporary');
const { becomesTrue, membersOfSession } = require('../../tools/process-group');

const HOST = '127.0.0.1';
const LIMIT = 20_000;
const NAME = 'primaries';
const TITLE = `rs-cluster: ${NAME}`;

/**
 * Starts `rs-cluster run` with one worker, whose primaries specs replace.
 *
 * @param {object} [options]
 * @param {string[]} [options.args] of `run`
 * @param {string} [options.program] its source
 */
async function startPrimary(t, { args = [], program = serves('one'), env, ...how } = {}) {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, 'server.js');
  writeFileSync(file, program);
  const port = await freePort();
  const user = { ...freshUser(t), NOTIFY_SOCKET: '', ...env };
  const defaults = ['-w', '1', '--min-uptime', '100ms', '--name', NAME];
  const app = start(t, BIN, {
    env: user,
    args: ['run', ...defaults, ...args, file, `${port}`],
    ...how,
  });
  const options = { env: user };
  Object.assign(app, {
    target: { host: HOST, port },
    ask: (request) => get(app.target, request),
    /** Runs a command of the command line, and resolves to what comes of it. */
    command: async (...words) => {
      const printed = await jsonOf(t, [...words, '--name', NAME], options);
      return printed.value ?? printed;
    },
    /** Runs a command of the command line that may fail. */
    attempt: (...words) => runCli(t, [...words, '--name', NAME], options),
    status: () => app.command('status'),
    /** The pids of the running primaries. */
    primaries: () =>
      membersOfSession(app.pid)
        .filter(({ command }) => command.startsWith(TITLE))
        .map(({ pid }) => pid),
    /** Waits until only so many primaries run. */
    untilPrimaries: (count) => until(app, () => app.primaries().length === count),
    /** Waits until the status is so. When one primary follows another that was killed, there may be none for a while. */
    untilStatus: (isSo) => until(app, () => app.status().then(isSo, () => false)),
    /** Waits until the program writes something of this form. */
    untilWritten: (pattern) => until(app, () => pattern.test(app.stdout + app.stderr)),
  });
  await app.untilWritten(/ ready: /);
  return app;
}

async function until(app, isSo) {
  if (!(await becomesTrue(async () => !app.isRunning || (await isSo()), LIMIT))) {
    throw new Error(`it does not come to this: ${isSo}: ${app}`);
  }
}

module.exports = { startPrimary };

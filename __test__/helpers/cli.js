'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { getText } = require('./client');
const { run, start } = require('./fixture');
const { freePort } = require('./free-port');
const { temporaryDirectory } = require('./temporary');
const { becomesTrue } = require('../../tools/process-group');

const BIN = path.join(__dirname, '../../bin/rs-cluster.js');
const HOST = '127.0.0.1';
const LIMIT = 20_000;

/** Of `util-linux`: runs a command with a terminal of its own. */
const hasScript = spawnSync('script', ['--version']).status === 0;

/** A launcher for `start()` that gives the program a terminal of so many columns and rows. */
function onTerminal({ columns = 80, rows = 24 } = {}) {
  const inner = `stty -echo cols ${columns} rows ${rows}; exec`;
  const quote = `for it; do command="$command '$it'"; done`;
  return ['sh', '-c', `command="${inner}"; ${quote}; exec script -qec "$command" /dev/null`, 'sh'];
}

/** The environment of a user who has no primaries yet. */
function freshUser(t) {
  return {
    RUNTIME_DIRECTORY: '',
    XDG_RUNTIME_DIR: temporaryDirectory(t),
    TMPDIR: temporaryDirectory(t),
    NO_COLOR: '',
    TERM: 'xterm',
  };
}

/** Runs a command line to its end. */
function runCli(t, args, options) {
  return run(t, BIN, { ...options, args });
}

/** Runs a command line that ends with 0; resolves to the JSON that it prints. */
async function jsonOf(t, args, options) {
  const { code, stdout, stderr } = await runCli(t, [...args, '--json'], options);
  if (code !== 0) throw new Error(`${args} ended with ${code}: ${stdout}${stderr}`);
  return JSON.parse(stdout);
}

/**
 * Starts `rs-cluster run`; resolves when the program serves on `app.target`.
 *
 * @param {object} options
 * @param {string} options.program the path of a program that listens on the port of its first argument
 * @param {string[]} [options.args] of `run`
 * @param {string[]} [options.programArgs] of the program, after the port
 */
async function startRun(t, { program, args = [], programArgs = [], ...options }) {
  const port = await freePort();
  const app = start(t, BIN, {
    ...options,
    args: ['run', ...args, program, `${port}`, ...programArgs],
  });
  app.target = { host: HOST, port };
  const isReady = async () => /^\S+ ready: /m.test(app.stderr) || !app.isRunning;
  await becomesTrue(isReady, LIMIT);
  if (!app.isRunning) throw new Error(`it has ended: ${app}`);
  app.ask = async (url = '/') => JSON.parse(await getText({ ...app.target, path: url }));
  return app;
}

module.exports = { BIN, freshUser, hasScript, jsonOf, onTerminal, runCli, startRun };

'use strict';

// Starts a cluster of node:cluster, and replaces it as service managers do: stop, then start. Its argument is that of
// parts/restarted-primary.js.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { obey } = require('./parts/obey.js');

const { way, until, ...settings } = JSON.parse(process.argv[2]);
const PROGRAM = require.resolve('./parts/restarted-primary.js');

let primary;

async function start() {
  const options = { stdio: ['ignore', 'pipe', 'inherit'] };
  primary = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], options);
  await once(primary.stdout, 'data');
}

async function restart() {
  const started = Date.now();
  primary.kill('SIGTERM');
  await once(primary, 'exit');
  await start();
  return { replaced: settings.workers, ms: Date.now() - started };
}

async function main() {
  await start();
  // The benchmark ends the session.
  obey(restart, () => process.exit())({ listening: settings.workers });
}

main();

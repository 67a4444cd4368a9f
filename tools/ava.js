'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const AVA = path.join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');

/** Runs ava with these arguments, and variables beside those of this process; returns its exit code. */
function runAva(args, variables = {}) {
  const env = { ...process.env, ...variables };
  const options = { cwd: ROOT, env, stdio: 'inherit' };
  const { status, signal } = spawnSync(process.execPath, [AVA, ...args], options);
  if (signal) process.kill(process.pid, signal);
  return status ?? 1;
}

module.exports = { runAva };

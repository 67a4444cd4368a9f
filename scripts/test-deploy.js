'use strict';

// npm run test:deploy -- [--install] [SPEC…]: the tests that start real servers and tools: HAProxy, nginx, Redis,
// Chromium, Prometheus, systemd's. Names those that are missing, and how to install them, and exits with 2; or
// installs them (Debian, Ubuntu).

const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { runCommand } = require('../tools/command.js');
const { describeMissing, findMissing, install } = require('../tools/debian-packages.js');
const { DEPLOY_PROGRAMS } = require('../tools/deploy-programs.js');
const { parse } = require('../tools/options.js');

const ROOT = path.join(__dirname, '..');
const AVA = path.join(ROOT, 'node_modules', 'ava', 'entrypoints', 'cli.mjs');
const CONFIG = path.join('__test__', 'deploy', 'ava.config.mjs');

async function main(argv) {
  const { values, positionals } = parse(argv, { install: { type: 'boolean', default: false } });
  let missing = findMissing(DEPLOY_PROGRAMS);
  if (missing.length > 0 && values.install) {
    install(missing);
    missing = findMissing(DEPLOY_PROGRAMS);
  }
  if (missing.length > 0) {
    process.stderr.write(describeMissing(missing, 'npm run test:deploy -- --install'));
    return 2;
  }
  const args = [AVA, '--config', CONFIG, ...positionals];
  const { status, signal } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  if (signal) process.kill(process.pid, signal);
  return status ?? 1;
}

if (require.main === module) runCommand(main);

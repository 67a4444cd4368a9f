'use strict';

// npm run test:deploy -- [--install] [SPEC…]: the tests that start real servers and tools: HAProxy, nginx, Redis,
// Chromium, Prometheus, systemd's. Names those that are missing, and how to install them, and exits with 2; or
// installs them (Debian, Ubuntu).

const path = require('node:path');
const { runAva } = require('../tools/ava.js');
const { runCommand } = require('../tools/command.js');
const { providePackages } = require('../tools/debian-packages.js');
const { DEPLOY_PROGRAMS } = require('../tools/deploy-programs.js');
const { parse } = require('../tools/options.js');

const CONFIG = path.join('__test__', 'deploy', 'ava.config.mjs');
const HINT = 'npm run test:deploy -- --install';

async function main(argv) {
  const { values, positionals } = parse(argv, { install: { type: 'boolean', default: false } });
  if (!providePackages(DEPLOY_PROGRAMS, values.install, HINT)) return 2;
  return runAva(['--config', CONFIG, ...positionals]);
}

if (require.main === module) runCommand(main);

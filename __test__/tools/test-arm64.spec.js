'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('ava');
const { temporaryDirectory } = require('../helpers/temporary');
const { canStart } = require('../../tools/emulator');

const ROOT = path.join(__dirname, '../..');
const SCRIPT = path.join(ROOT, 'scripts/test-arm64.js');

test('without the programs the script names them and how to install them, and exits with 2', (t) => {
  const env = { ...process.env, PATH: temporaryDirectory(t) };
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { env, encoding: 'utf8' });
  t.is(status, 2);
  t.regex(stderr, /^Missing: aarch64-linux-gnu-gcc, .*\bqemu-aarch64-static\b/);
  t.regex(stderr, /^ {2}apt-get install .*\bgcc-aarch64-linux-gnu\b.*\bqemu-user-static\b/m);
  t.regex(stderr, /npm run test:arm64 -- --install/);
});

test('a program that the system does not start is told from one that it starts', (t) => {
  t.true(canStart(process.execPath));
  t.false(canStart(__filename));
  t.false(canStart(path.join(temporaryDirectory(t), 'none')));
});

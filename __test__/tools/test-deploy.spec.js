'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const test = require('ava');
const { temporaryDirectory } = require('../helpers/temporary');
const { findMissing, findOneOf, installCommand } = require('../../tools/debian-packages');
const { DEPLOY_PROGRAMS } = require('../../tools/deploy-programs');

const SCRIPT = path.join(__dirname, '../../scripts/test-deploy.js');

test('without the programs the script names them and how to install them, and exits with 2', (t) => {
  const env = { ...process.env, PATH: temporaryDirectory(t) };
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { env, encoding: 'utf8' });
  t.is(status, 2);
  t.regex(stderr, /^Missing: .*\bchromium or .*\bpromtool\b.*\bpython3-venv\b/);
  const [command] = stderr.match(/^ {2}apt-get install -y --no-install-recommends .*$/m);
  for (const name of ['chromium', 'prometheus', 'python3-venv', 'tini']) {
    t.true(command.split(' ').includes(name), name);
  }
});

test('an unknown option is an error, and no test runs', (t) => {
  const how = { encoding: 'utf8' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, '--instal'], how);
  t.is(status, 1);
  t.is(stdout, '');
  t.regex(stderr, /--instal/);
});

test('one of several programs is enough, and a package may be told by a command', (t) => {
  const fine = { name: 'a', programs: ['no-such-program|sh'] };
  const wrong = { name: 'b', programs: ['no-such-program', 'sh', 'no-such-either'] };
  const told = { name: 'c', command: ['sh', '-c', 'exit 1'] };
  t.is(path.basename(findOneOf('no-such-program|sh')), 'sh');
  const missing = findMissing([fine, wrong, told, { name: 'd', command: ['sh', '-c', 'exit 0'] }]);
  t.deepEqual(missing, [
    { program: 'no-such-program', name: 'b' },
    { program: 'no-such-either', name: 'b' },
    { program: 'c', name: 'c' },
  ]);
  const command = installCommand(missing);
  t.deepEqual(command.slice(0, 2), ['apt-get', 'install']);
  t.deepEqual(command.slice(-2), ['b', 'c']);
});

test('every program has a package', (t) => {
  t.true(DEPLOY_PROGRAMS.every(({ name }) => /^[a-z0-9-]+$/.test(name)));
});

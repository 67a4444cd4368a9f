'use strict';

const { spawnSync } = require('node:child_process');
const { chmodSync, mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { temporaryDirectory } = require('../helpers/temporary.js');
const { isAllowed } = require('../../tools/licenses.js');

const SCRIPT = path.join(__dirname, '..', '..', 'scripts', 'licenses.js');

const expressions = {
  MIT: true,
  'GPL-3.0-only': false,
  'GPL-3.0-only OR MIT': true,
  'MIT OR GPL-3.0-only': true,
  'MIT/GPL-3.0-only': true,
  'MIT AND GPL-3.0-only': false,
  '(MIT OR GPL-3.0-only) AND ISC': true,
  '(MIT OR ISC) AND GPL-3.0-only': false,
  'MIT OR ISC AND GPL-3.0-only': true,
  'ISC WITH LLVM-exception': true,
  'GPL-2.0-only WITH Classpath-exception-2.0': false,
  '(MIT': false,
  'MIT ISC': false,
  '': false,
  'SEE LICENSE IN LICENSE.txt': false,
};
for (const [expression, expected] of Object.entries(expressions)) {
  test(`"${expression}" is ${expected ? 'allowed' : 'not allowed'} where MIT and ISC are`, (t) => {
    t.is(isAllowed(expression, ['MIT', 'ISC']), expected);
  });
}

test('no license is not allowed', (t) => {
  t.false(isAllowed(undefined, ['MIT']));
  t.false(isAllowed(null, ['MIT']));
});

/** Runs the script on a project whose crates and npm packages have these licenses. */
function check(t, { crate, runtime, development }) {
  const directory = temporaryDirectory(t);
  const entry = (license, more) => ({ version: '1.0.0', license, ...more });
  const packages = {
    '': { name: 'project', ...entry('MIT') },
    'node_modules/runtime': entry(runtime),
    'node_modules/development': entry(development, { dev: true }),
  };
  writeFileSync(path.join(directory, 'package-lock.json'), JSON.stringify({ packages }));
  const metadata = { packages: [{ name: 'crate', ...entry(crate) }] };
  const cargo = path.join(directory, 'bin', 'cargo');
  mkdirSync(path.dirname(cargo));
  writeFileSync(cargo, `#!/bin/sh\necho '${JSON.stringify(metadata)}'\n`);
  chmodSync(cargo, 0o755);
  const PATH = [path.dirname(cargo), process.env.PATH].join(path.delimiter);
  const env = { ...process.env, PATH };
  return spawnSync(process.execPath, [SCRIPT, directory], { env, encoding: 'utf8' });
}

const good = { crate: 'MIT OR Apache-2.0', runtime: 'ISC', development: 'GPL-3.0-only' };

test('allowed licenses pass, and packages for development may have any', (t) => {
  const { status, stdout, stderr } = check(t, good);
  t.is(status, 0, stderr);
  t.regex(stdout, /^Checked the licenses of 1 crates and \d+ npm packages\.$/m);
});

test('a forbidden license of a crate fails', (t) => {
  const { status, stderr } = check(t, { ...good, crate: 'GPL-3.0-only' });
  t.is(status, 1);
  t.regex(stderr, /^ {2}crate 1\.0\.0: GPL-3\.0-only$/m);
});

test('a forbidden license of an npm package that users install fails', (t) => {
  const { status, stderr } = check(t, { ...good, runtime: 'AGPL-3.0-only' });
  t.is(status, 1);
  t.regex(stderr, /^ {2}node_modules\/runtime 1\.0\.0: AGPL-3\.0-only$/m);
});

test('a crate without a license fails', (t) => {
  const { status, stderr } = check(t, { ...good, crate: null });
  t.is(status, 1);
  t.regex(stderr, /^ {2}crate 1\.0\.0: null$/m);
});

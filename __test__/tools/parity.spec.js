'use strict';

const { execFile } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath } = require('../helpers/fixture');
const { generate } = require('../../parity/lib/generate.js');
const { differences } = require('../../parity/lib/compare.js');
const { Trace } = require('../../parity/lib/trace.js');
const { minimize } = require('../../parity/lib/minimize.js');
const rules = require('../../parity/rules.js');

const PROGRAM = path.join(__dirname, '../../parity/index.js');
const FAULTY = fixturePath('tools/faulty-cluster');

/** Resolves to the output of the tool, and its exit code. */
function parity(...args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, stdout) => {
      resolve({ stdout, code: error ? error.code : 0 });
    });
  });
}

test('a seed always gives the same program, and different seeds give different programs', (t) => {
  t.deepEqual(generate(7), generate(7));
  t.notDeepEqual(generate(7), generate(8));
});

test('random programs use all kinds of statements', (t) => {
  const text = JSON.stringify(Array.from({ length: 2000 }, (_, seed) => generate(seed)));
  for (const part of [
    ...['SCHED_NONE', 'setupMaster', 'silent', 'stdio', 'serialization', 'execArgv', 'cwd'],
    ...['fork(3', 'hook 2', 'prependOnceListener', 'thrown in', 'context.run', 'process.exit'],
    ...['exclusive', 'a.sock', 'fd: 999', "bind('", 'keepOpen', 'connection(', 'maxConnections'],
    ...['SIGKILL', 'cluster.disconnect(', 'unref()', 'SIGTERM', 'internal'],
  ]) {
    t.true(text.includes(part), part);
  }
});

test('variation between runs of the reference is not a difference', (t) => {
  const trace = (...lines) => new Trace([['P', lines]]);
  t.is(differences([trace('a')], [trace('a')]).length, 0);
  t.is(differences([trace('a')], [trace('b')]).length, 1);
  t.is(differences([trace('a'), trace('c')], [trace('b')]).length, 0);
  t.is(differences([trace('a')], [trace('b'), trace('a')]).length, 0);
  t.is(differences([trace('a', '* b')], [trace('a', 'c b')]).length, 0);
  t.is(differences([trace('a')], [trace('a', 'b')]).length, 1);
});

test('each rule of a difference has its row in the documents', (t) => {
  const text = readFileSync(path.join(__dirname, '../../docs/from-node-cluster.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  const titles = rows.map((row) => row.split(/ +\| +/)[0].slice(2));
  const named = rules.map(({ difference }) => difference).filter(Boolean);
  t.deepEqual(
    named.filter((difference) => !titles.includes(difference)),
    [],
  );
});

test('minimize() reduces a list to the entries that matter', async (t) => {
  const list = Array.from({ length: 30 }, (_, index) => index);
  const needed = [3, 17, 18];
  const fails = async (candidate) => needed.every((entry) => candidate.includes(entry));
  t.deepEqual(await minimize(list, fails), needed);
});

test('a fault is found, and its program reduced', async (t) => {
  const { stdout, code } = await parity('--programs', '1', '--implementation', FAULTY);
  t.is(code, 1);
  t.regex(stdout, /^0 passed, 1 failed$/m);
  const [, kept, all] = /(\d+) of its (\d+) statements do/.exec(stdout);
  t.true(Number(kept) < Number(all) / 2, stdout);
});

test('programs do the same on this engine as under node:cluster', async (t) => {
  const { stdout, code } = await parity('--programs', '3');
  t.is(code, 0, stdout);
  t.regex(stdout, /^3 passed, 0 failed$/m);
});

'use strict';

// Runs the test suites in `examples/` with their test runners.

const path = require('node:path');
const { serial } = require('ava');
const { example } = require('../helpers/example');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { majorVersion } = require('../helpers/version');

const ROOT = path.join(__dirname, '../..');
const JEST = path.join(ROOT, 'node_modules/jest/bin/jest.js');
const AVA = path.join(ROOT, 'node_modules/ava/entrypoints/cli.mjs');

// The suites use this project even if CLUSTER names another module.
const test = isBuiltin ? serial.skip : serial;
// Node 18 can't run this version of ava.
const testAva = majorVersion < 20 ? serial.skip : test;

/** What Jest prints if anything is still open when the tests have ended. */
const LEFTOVERS =
  /open handle|did not exit|exit gracefully|force exited|torn down|after tests are done/i;

/** Two processes, which may take longer to exit than the half a second that Jest gives them. */
const AT_ONCE = ['--maxWorkers=2', '--workerGracefulExitTimeout=4000'];

const jestWays = {
  'one after the other, and nothing is left open': { args: ['-i', '--detectOpenHandles'] },
  'at once': { args: AT_ONCE },
  'at once, under rs-cluster/register': {
    args: AT_ONCE,
    nodeArgs: ['--require', 'rs-cluster/register'],
  },
  'one after the other, under rs-cluster/register': {
    args: ['-i', '--detectOpenHandles'],
    nodeArgs: ['--require', 'rs-cluster/register'],
  },
};
for (const [how, { args, nodeArgs }] of Object.entries(jestWays)) {
  test(`Jest runs its files ${how}`, async (t) => {
    const config = ['--config', example('jest/jest.config.js')];
    const options = { args: [...config, '--ci', '--no-watchman', ...args], nodeArgs };
    const { code, stdout, stderr } = await run(t, JEST, { ...options, spawn: { cwd: ROOT } });
    t.is(code, 0);
    t.regex(stderr, /^Test Suites: 2 passed, 2 total$/m);
    t.regex(stderr, /^Tests: {7}7 passed, 7 total$/m);
    t.notRegex(stdout + stderr, LEFTOVERS);
  });
}

test('nothing of a test file stays in memory after Jest has run it', async (t) => {
  // The other test file stays in memory with node:cluster too.
  const args = ['--config', example('jest/jest.config.js'), '--ci', '-i', '--detectLeaks', 'sum'];
  const { code, stderr } = await run(t, JEST, { args, spawn: { cwd: ROOT } });
  t.is(code, 0, stderr);
  t.regex(stderr, /^Tests: {7}5 passed, 5 total$/m);
});

for (const threads of ['--worker-threads', '--no-worker-threads']) {
  testAva(`ava runs its files with ${threads}`, async (t) => {
    const args = ['--config', example('ava/ava.config.mjs'), threads];
    const { code, stdout, stderr } = await run(t, AVA, { args, spawn: { cwd: ROOT } });
    t.is(code, 0);
    t.regex(stdout, /^ {2}4 tests passed$/m);
    t.is(stderr, '');
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { becomesTrue, isAlive } = require('../../tools/process-group');

test('after a reset of the module registry, require() returns the same cluster', async (t) => {
  const { lines, code } = await run(t, 'environment/several-instances', { args: ['reset'] });
  t.is(code, 0);
  t.deepEqual(lines, [{ isSame: true, code: 3 }]);
});

if (!isBuiltin) {
  test('a worker that pauses itself is paused, also after an early reset of the registry', async (t) => {
    const { lines, code } = await run(t, 'environment/several-instances', { args: ['resetEarly'] });
    t.is(code, 0);
    t.deepEqual(lines, [{ isPaused: true }]);
  });
}

// A thread has only one built-in module, also under rs-cluster/register.
if (!isBuiltin) {
  test('each global object has its own cluster, even if its timers never fire', async (t) => {
    const { lines, code } = await run(t, 'environment/several-instances', { args: ['globals'] });
    t.is(code, 0);
    const lengths = [3_000_000, 3_000_000];
    t.deepEqual(lines, [{ areSame: [true, true], areDistinct: true, ids: [1, 1], lengths }]);
  });

  test('under rs-cluster/register all global objects have the same cluster', async (t) => {
    const nodeArgs = ['--require', 'rs-cluster/register'];
    const { lines, code } = await run(t, 'environment/several-instances', {
      args: ['globals'],
      nodeArgs,
    });
    t.is(code, 0);
    const lengths = [3_000_000, 3_000_000];
    t.deepEqual(lines, [{ areSame: [true, true], areDistinct: false, ids: [1, 2], lengths }]);
  });
}

test('threads can fork, and a worker ends with the thread that forked it', async (t) => {
  const { lines, code } = await run(t, 'environment/several-instances', { args: ['threads'] });
  t.is(code, 0);
  const [{ first, code: exitCode, terminated }] = lines;
  t.deepEqual([first, exitCode], [5, 0]);
  t.true(await becomesTrue(() => !isAlive(terminated), 2000));
});

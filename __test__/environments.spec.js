'use strict';

const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');
const { isBuiltin } = require('./helpers/implementation');
const { becomesTrue, isAlive } = require('../tools/process-group');

// There is one built-in module in a thread.
if (!isBuiltin) {
  test('two instances in one thread each have workers of their own', async (t) => {
    const { lines, code } = await run(t, 'environments', { args: ['registries'] });
    t.is(code, 0);
    const exits = [
      [3, null],
      [4, null],
    ];
    t.deepEqual(lines, [{ distinct: true, ids: [1, 1], exits }]);
  });
}

test('threads can fork, and a worker ends with the thread that forked it', async (t) => {
  const { lines, code } = await run(t, 'environments', { args: ['threads'] });
  t.is(code, 0);
  const [{ first, code: exitCode, terminated }] = lines;
  t.deepEqual([first, exitCode], [5, 0]);
  t.true(await becomesTrue(() => !isAlive(terminated), 2000));
});

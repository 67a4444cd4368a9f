'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { BUILTIN } = require('../helpers/implementation');

const FLAGS = ['--no-deprecation', '--max-http-header-size=20000'];

/** Resolves to what each descendant of the primary reports, by the names of the processes. */
async function factsOf(t, env) {
  const { lines, code } = await run(t, 'environment/descendants', {
    env,
    nodeArgs: FLAGS,
    args: ['argument'],
  });
  t.is(code, 0);
  return Object.fromEntries(lines.map((line) => [line.facts, line]));
}

for (const member of ['worker', 'forked', 'spawned', 'sh', 'thread']) {
  const names = {
    worker: 'a worker',
    sh: 'a shell run by a worker',
    thread: 'a thread of a worker',
  };
  const name = names[member] ?? `a Node process ${member} by a worker`;
  test(`${name} sees exactly what it sees under the built-in module`, async (t) => {
    const expected = await factsOf(t, { CLUSTER: BUILTIN });
    const actual = await factsOf(t);
    t.truthy(actual[member]);
    t.deepEqual(actual[member], expected[member]);
  });
}

test('a child of a worker can be the primary of its own cluster', async (t) => {
  const { lines, code } = await run(t, 'environment/nested-clusters');
  t.is(code, 0);
  t.deepEqual(lines, [
    { level: 0, isPrimary: true, worker: 'undefined' },
    { level: 1, isPrimary: false, worker: 1 },
    { level: 2, isPrimary: true, worker: 'undefined' },
    { level: 3, isPrimary: false, worker: 1 },
    { level: 2, ended: [3, null] },
    { level: 1, ended: [2, null] },
    { level: 0, ended: [1, null] },
  ]);
});

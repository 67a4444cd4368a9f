'use strict';

const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');
const { BUILTIN } = require('./helpers/implementation');

const FLAGS = ['--no-deprecation', '--max-http-header-size=20000'];

/** What the members of the family find around themselves, by their names. */
async function family(t, env) {
  const { lines, code } = await run(t, 'family', { env, nodeArgs: FLAGS, args: ['argument'] });
  t.is(code, 0);
  return Object.fromEntries(lines.map((line) => [line.facts, line]));
}

for (const member of ['worker', 'forked', 'spawned', 'sh']) {
  const names = { worker: 'a worker', sh: 'a shell run by a worker' };
  const name = names[member] ?? `a Node process ${member} by a worker`;
  test(`${name} sees exactly what it sees under the built-in`, async (t) => {
    const expected = await family(t, { CLUSTER: BUILTIN });
    const actual = await family(t);
    t.truthy(actual[member]);
    t.deepEqual(actual[member], expected[member]);
  });
}

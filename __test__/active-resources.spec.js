'use strict';

const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');
const { BUILTIN, isBuiltin } = require('./helpers/implementation');

/** The lists of one role, in order. */
async function look(t, role, env) {
  const { lines, code } = await run(t, 'active-resources', { env });
  t.is(code, 0);
  return lines.filter((line) => line.role === role);
}

test('the active resources of a worker are those of Node, but for the channel', async (t) => {
  const withoutChannel = (lines) =>
    lines.map(({ when, resources }) => [when, resources.filter((name) => name !== 'PipeWrap')]);
  const expected = await look(t, 'worker', { CLUSTER: BUILTIN });
  t.is(expected.length, 5);
  t.deepEqual(withoutChannel(await look(t, 'worker')), withoutChannel(expected));
});

if (!isBuiltin) {
  // Those of Node are processes, channels and listening sockets.
  test('a primary has no active resources for what its engine does', async (t) => {
    const lines = await look(t, 'primary');
    t.is(lines.length, 8);
    t.deepEqual(
      lines.flatMap(({ resources }) => resources),
      [],
    );
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

for (const [start, how] of [
  ['SIGUSR1', 'SIGUSR1'],
  ['open', 'inspector.open()'],
]) {
  test(`${how} in the primary starts the inspectors of its workers too`, async (t) => {
    // Each process takes any free port.
    const nodeArgs = ['--inspect-port=0'];
    const { lines, code } = await run(t, 'environment/inspector-start', {
      args: [start],
      nodeArgs,
    });
    t.is(code, 0);
    t.deepEqual(lines.map(({ id, inspected }) => [id, inspected]).sort(), [
      [1, true],
      [2, true],
    ]);
  });
}

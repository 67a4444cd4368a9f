'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

if (process.platform === 'linux') {
  test('processes have the same title as without a cluster, and take the title they are given', async (t) => {
    const { lines } = await run(t, 'environment/process-titles');
    const [primary, worker] = lines;
    t.is(worker.before, primary.before);
    for (const { role, after, command } of lines) {
      t.is(after, `shop: ${role}`);
      t.is(command, after);
    }
    t.is(lines.length, 2);
  });
}

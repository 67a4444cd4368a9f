'use strict';

// How many of the primary's descriptors listeners may use. The built-in module has no limit.
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const LIMIT = 256;
const fewDescriptors = ['sh', '-c', `ulimit -n ${LIMIT} && exec "$@"`, 'sh'];

if (!isBuiltin) {
  test('listeners leave descriptors for workers and connections', async (t) => {
    const { code, lines } = await run(t, 'faults/many-addresses', {
      args: [temporaryDirectory(t)],
      launcher: fewDescriptors,
    });
    t.is(code, 0);
    const answer = lines.pop();
    t.deepEqual(answer, { answer: 'served' });
    t.true(
      lines.every((outcome) => outcome.code === 'EMFILE'),
      JSON.stringify(lines),
    );
    // Each path uses three. One worker may use a quarter of them, and all workers together half of them.
    const counts = lines.map(({ count }) => count);
    t.is(counts[0], Math.floor(LIMIT / 4 / 3));
    const total = counts.reduce((sum, count) => sum + count, 0);
    t.is(total, Math.floor(LIMIT / 2 / 3));
  });
} else {
  test('the built-in module has no limit for listeners', (t) => t.pass());
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const PARTS = 4;
const VALUES = 100_000 / PARTS;

for (let part = 0; part < PARTS; part += 1) {
  test(`'advanced' encodes random values as Node's own channels do, and runs the same user code: part ${part + 1} of ${PARTS}`, async (t) => {
    const args = [VALUES, 1 + part * VALUES];
    const { lines, code } = await run(t, 'messages/random-values', { args, timeout: 110_000 });
    t.is(code, 0);
    const [{ values, json, errors, logs, different }] = lines;
    t.deepEqual(different, []);
    t.is(values, VALUES);
    // Enough values of each kind were among them.
    t.true(Math.min(json, errors, logs) > VALUES / 100, JSON.stringify({ json, errors, logs }));
  });
}

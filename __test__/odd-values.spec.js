'use strict';

const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');

const PARTS = 4;
const VALUES = 100_000 / PARTS;

for (let part = 0; part < PARTS; part += 1) {
  test(`odd values arrive by 'advanced' as by Node's own channels, and run as much code: part ${part + 1} of ${PARTS}`, async (t) => {
    const args = [VALUES, 1 + part * VALUES];
    const { lines, code } = await run(t, 'odd-values', { args, timeout: 110_000 });
    t.is(code, 0);
    const [{ values, json, errors, logs, different }] = lines;
    t.deepEqual(different, []);
    t.is(values, VALUES);
    // Each kind is well represented.
    t.true(Math.min(json, errors, logs) > VALUES / 100, JSON.stringify({ json, errors, logs }));
  });
}

'use strict';

const os = require('node:os');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const ENOUGH = 2 * 1024 ** 3;

if (os.freemem() > ENOUGH) {
  test('a primary with a gigabyte of memory forks like any other', async (t) => {
    const { lines, code } = await run(t, 'lifecycle/large-primary');
    t.is(code, 0);
    const [{ pid }] = lines;
    t.deepEqual(lines.slice(1), [{ answered: pid, held: 16 }, { args: [0, null] }]);
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

test("a worker can send datagrams until its 'disconnect' event", async (t) => {
  const { lines, code } = await run(t, 'listen/datagrams-until-disconnect');
  t.is(code, 0);
  t.deepEqual(
    lines.sort((a, b) => a.id - b.id),
    [1, 2, 3].map((id) => ({ id, code: 0 })),
  );
});

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

test("a worker that kills itself in a server's 'listening' event ends", async (t) => {
  const { lines, code } = await run(t, 'lifecycle/kill-in-listening');
  t.is(code, 0);
  t.deepEqual(lines, [{ code: 0, signal: null, exitedAfterDisconnect: true }]);
});

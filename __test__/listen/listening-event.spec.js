'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

if (!isBuiltin) {
  test("a worker emits 'listening' once, however often its server has tried before", async (t) => {
    const { lines, code } = await run(t, 'listen/failed-listen', { args: ['3'] });
    t.is(code, 0);
    t.deepEqual(lines, [{ listening: 1, port: true }]);
  });
}

test("a worker emits 'listening' once for a server that succeeds at once", async (t) => {
  const { lines, code } = await run(t, 'listen/failed-listen', { args: ['0'] });
  t.is(code, 0);
  t.deepEqual(lines, [{ listening: 1, port: true }]);
});

for (const kind of ['udp4', 'net']) {
  // With several sockets, the built-in module asks a closed socket for its address.
  for (const count of isBuiltin ? [1] : [1, 3]) {
    test(`the primary sees no 'listening' of a ${kind} that closes in its own callback: ${count} of them`, async (t) => {
      const { lines, code } = await run(t, 'listen/close-in-callback', {
        args: [kind, `${count}`],
      });
      t.is(code, 0);
      t.deepEqual(lines, Array(count).fill({ closed: kind }));
    });
  }
}

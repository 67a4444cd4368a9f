'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { majorVersion } = require('../helpers/version');

if (majorVersion >= 26) {
  test('a net.BoundSocket can be sent to a worker, and back', async (t) => {
    const { lines, code } = await run(t, 'messages/bound-socket');
    t.is(code, 0);
    const [received, sent, ...rest] = lines;
    t.deepEqual(received, { received: true, address: '127.0.0.1' });
    t.like(sent, {
      adopted: 'ERR_SOCKET_HANDLE_ADOPTED',
      twice: 'ERR_WORKER_HANDLE_NOT_TRANSFERABLE',
      path: 'ERR_INVALID_HANDLE_TYPE',
      unserializable: 'EXPECTED',
    });
    if (!isBuiltin) t.true(sent.kept);
    t.deepEqual(rest, [{ answer: 'hello' }, { back: true, address: '127.0.0.1' }]);
  });
} else {
  test('Node versions before 26 have no net.BoundSocket', (t) => {
    t.true(majorVersion < 26);
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');
const { isBuiltin } = require('./helpers/implementation');
const { HAS_PROC } = require('../tools/process-group');
const { temporaryDirectory } = require('./helpers/temporary');

const PEERS = { primary: 'worker', worker: 'primary' };

/** What a side tells when the other answers what it was sent. */
function expected(role) {
  const peer = `the ${PEERS[role]}`;
  const error = null;
  const sent = [
    ['tcp socket', { error, said: peer, isDetached: true, left: 0 }, 'Socket'],
    ['unix socket', { error, said: peer }, 'Socket'],
    ['kept socket', { error, said: peer, later: 'the sender' }, 'Socket'],
    ['server', { error, said: peer }, 'Server'],
    // There, a worker asks its primary for such a server, and gets none.
    ...(isBuiltin ? [] : [['unix server', { error, said: peer }, 'Server']]),
    ['native server', { error, said: peer }, 'TCP'],
    ['udp socket', { error, said: peer }, 'Socket'],
    ['socket sent twice', { errors: [null, null], said: peer }, 'Socket'],
    ['closed server', { error }, 'undefined'],
  ];
  const received = sent.flatMap(([got, , type]) => [
    { role: PEERS[role], got, type },
    // The second time it goes alone.
    ...(got === 'socket sent twice' ? [{ role: PEERS[role], got, type: 'undefined' }] : []),
  ]);
  return { sent: sent.map(([name, outcome]) => ({ role, sent: name, ...outcome })), received };
}

for (const serialization of ['json', 'advanced']) {
  test(`every type of handle goes both ways, with ${serialization} messages`, async (t) => {
    const env = { TEST_DIRECTORY: temporaryDirectory(t) };
    const { lines, code } = await run(t, 'handles', { args: [serialization], env });
    t.is(code, 0);
    for (const role of Object.keys(PEERS)) {
      const { sent, received } = expected(role);
      const of = (wanted, key) => lines.filter((it) => it.role === wanted && key in it);
      t.deepEqual(of(role, 'sent'), sent);
      t.deepEqual(of(PEERS[role], 'got'), received);
    }
  });
}

if (HAS_PROC) {
  test('connections sent in a burst, with messages between, neither reorder nor drop', async (t) => {
    const count = 300;
    const { lines, code } = await run(t, 'handle-burst', { args: [String(count)] });
    t.is(code, 0);
    const all = { received: 2 * count, served: count, callbacks: 2 * count };
    t.deepEqual(lines, [{ inOrder: true, ...all, leaked: 0 }]);
  });

  // The built-in keeps its copy until the worker says that it has read the message, so the callback
  // waits as well.
  if (!isBuiltin) {
    test('a connection on its way to a worker that dies is closed, and nothing leaks', async (t) => {
      const { lines, code } = await run(t, 'handle-in-flight');
      t.is(code, 0);
      t.deepEqual(lines, [{ sent: null }, { closed: true, gained: 0 }]);
    });
  }
}

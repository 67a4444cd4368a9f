'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { HAS_PROC } = require('../../tools/process-group');
const { temporaryDirectory } = require('../helpers/temporary');

const PEERS = { primary: 'worker', worker: 'primary' };

/** The reports of both sides when the other side answers with the handle that it was sent. */
function expected(role) {
  const peer = `the ${PEERS[role]}`;
  const error = null;
  const sent = [
    ['tcp socket', { error, said: peer, isDetached: true, left: 0 }, 'Socket'],
    ['unix socket', { error, said: peer }, 'Socket'],
    ['kept socket', { error, said: peer, later: 'the sender' }, 'Socket'],
    ['server', { error, said: peer }, 'Server'],
    // With the built-in module, a worker asks its primary for such a server, and does not get one.
    ...(isBuiltin ? [] : [['unix server', { error, said: peer }, 'Server']]),
    ['native server', { error, said: peer }, 'TCP'],
    ['udp socket', { error, said: peer }, 'Socket'],
    ['socket sent twice', { errors: [null, null], said: peer }, 'Socket'],
    ['closed server', { error }, 'undefined'],
  ];
  const received = sent.flatMap(([got, , type]) => [
    { role: PEERS[role], got, type },
    // The second message is sent without the socket.
    ...(got === 'socket sent twice' ? [{ role: PEERS[role], got, type: 'undefined' }] : []),
  ]);
  return { sent: sent.map(([name, outcome]) => ({ role, sent: name, ...outcome })), received };
}

for (const serialization of ['json', 'advanced']) {
  test(`every type of handle can be sent both ways, with ${serialization} messages`, async (t) => {
    const env = { TEST_DIRECTORY: temporaryDirectory(t) };
    const { lines, code } = await run(t, 'messages/handles', { args: [serialization], env });
    t.is(code, 0);
    for (const role of Object.keys(PEERS)) {
      const { sent, received } = expected(role);
      const of = (wanted, key) => lines.filter((it) => it.role === wanted && key in it);
      t.deepEqual(of(role, 'sent'), sent);
      t.deepEqual(of(PEERS[role], 'got'), received);
    }
  });
}

test('a socket is sent with all its unread data, and with the ends that are still open', async (t) => {
  const env = { TEST_DIRECTORY: temporaryDirectory(t) };
  const { lines, code } = await run(t, 'messages/handle-states', { env });
  t.is(code, 0);
  for (const [role, peer] of Object.entries(PEERS)) {
    const of = (wanted, key) =>
      lines
        .filter((line) => line.role === wanted && key in line)
        .map(({ [key]: name, said, type }) => [name, said ?? type]);
    t.deepEqual(of(role, 'sent'), [
      ['a socket with bytes to read', `${peer}: before, after`],
      ['a Unix socket with bytes to read', `${peer}: before, after`],
      ['a socket whose client has ended', `${peer}: all`],
      ['a socket that the sender has ended', 'from the sender'],
      ['a socket that the sender has written to', `from the sender; ${peer}: all`],
      ['a kept socket', `${peer}: before, after`],
      ['a native TCP socket', `${peer}: before, after`],
      ['a native Unix socket', `${peer}: before, after`],
      ['a udp4 socket with a datagram to read', `${peer}: all`],
      ['a native udp4 socket with a datagram to read', `${peer}: all`],
      ['a udp6 socket with a datagram to read', `${peer}: all`],
      ['a native udp6 socket with a datagram to read', `${peer}: all`],
    ]);
    const native = { TCP: 'TCP', Unix: 'Pipe', udp4: 'UDP', udp6: 'UDP' };
    t.deepEqual(
      of(peer, 'got'),
      of(role, 'sent').map(([name]) => [name, native[/native (\w+)/.exec(name)?.[1]] ?? 'Socket']),
    );
    t.deepEqual(of(peer, 'heard'), [['a socket that the sender has ended', 'to the receiver']]);
  }
});

test('a socket that was not sent still belongs to the sender', async (t) => {
  const { lines, code } = await run(t, 'messages/handle-not-sent');
  t.is(code, 0);
  const said = 'still here';
  t.deepEqual(lines, [
    { sent: 'nothing', thrown: 'ERR_MISSING_ARGS', said },
    { sent: 'a function', thrown: 'ERR_INVALID_ARG_TYPE', said },
    { sent: 'wrong options', thrown: 'ERR_INVALID_ARG_TYPE', said },
    // With the built-in module, the socket is lost.
    ...(isBuiltin ? [] : [{ sent: 'a circular object', thrown: 'TypeError', said }]),
    { sent: 'too late', returned: false, said, calledBack: 'ERR_IPC_CHANNEL_CLOSED' },
  ]);
});

for (const sender of Object.keys(PEERS)) {
  test(`a server of the ${sender} counts the sockets that it has sent, and waits for their end`, async (t) => {
    const { lines, code } = await run(t, 'messages/sent-sockets', { args: [sender] });
    t.is(code, 0);
    // A socket that the sender keeps counts twice.
    t.deepEqual(lines, [
      { own: 3 },
      { sent: 3 },
      { kept: 4 },
      { more: 5 },
      { left: 4 },
      { waits: true },
      { closed: true },
    ]);
  });
}

test('a server does not wait for sockets that it has sent to a worker that dies', async (t) => {
  const { lines, code } = await run(t, 'messages/sockets-of-killed-workers');
  t.is(code, 0);
  t.deepEqual(lines, [{ lent: 2 }, { left: 1 }, { closed: true }]);
});

if (HAS_PROC) {
  test('a handle that cannot be sent is an error, or its message is sent without it, and nothing leaks', async (t) => {
    const { lines, code } = await run(t, 'messages/handle-errors');
    t.is(code, 0);
    const outcomes = {
      'a closed native handle': { error: 'EBADF' },
      'a socket with an unconnected handle': { error: 'EBADF' },
      'a closed socket': { error: null },
      'a socket that was never connected': { error: null },
      'a server that does not listen': { error: null },
      'a datagram socket without an address': { error: 'EBADF' },
      'a closed datagram socket': { error: null },
      'an open file': { thrown: 'ERR_INVALID_HANDLE_TYPE' },
      'a stream': { thrown: 'ERR_INVALID_HANDLE_TYPE' },
      'a number': { thrown: 'ERR_INVALID_HANDLE_TYPE' },
      'an object': { thrown: 'ERR_INVALID_HANDLE_TYPE' },
    };
    t.is(lines.length, 2);
    for (const role of Object.keys(PEERS)) {
      t.deepEqual(
        lines.find((line) => line.role === role),
        { role, outcomes, leaked: 0 },
      );
    }
  });

  test('connections sent in a burst, with messages between, arrive completely and in order', async (t) => {
    const count = 2000;
    const how = { args: [String(count)], timeout: 90_000 };
    const { lines, code } = await run(t, 'messages/handle-burst', how);
    t.is(code, 0);
    const all = { received: 2 * count, served: count, callbacks: 2 * count };
    t.deepEqual(lines, [{ inOrder: true, ...all, leaked: 0 }]);
  });

  // The built-in module keeps its copy until the worker says that it has read the message, so the callback
  // waits as well.
  if (!isBuiltin) {
    test('connections in transit to a worker that dies are closed, and nothing leaks', async (t) => {
      const { lines, code } = await run(t, 'messages/handle-in-flight', { args: ['100'] });
      t.is(code, 0);
      t.deepEqual(lines, [{ sent: 100 }, { closed: true, gained: 0 }]);
    });

    test('messages can be sent after a handle that the receiver has not read', async (t) => {
      const { lines, code } = await run(t, 'messages/handle-to-stopped-worker', { args: ['50'] });
      t.is(code, 0);
      t.deepEqual(lines, [
        { calledBack: 100, errors: [] },
        { isInOrder: true, handles: 50 },
      ]);
    });
  }
}

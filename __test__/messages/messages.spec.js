'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const CLOSED = 'ERR_IPC_CHANNEL_CLOSED';

const roles = ['primary', 'worker'];
const of = (lines, role) =>
  lines.filter((line) => line.role === role).map(({ role: _, ...rest }) => rest);

test("every object with the channel's events emits a message", async (t) => {
  const { lines, code } = await run(t, 'messages/message-events');
  t.is(code, 0);
  const heard = (on) => lines.filter((line) => line.on === on);
  for (const on of ['worker.process', 'worker']) {
    t.deepEqual(heard(on), [{ on, message: 'up', arguments: 2, handle: 'undefined' }]);
  }
  t.deepEqual(heard('cluster'), [
    { on: 'cluster', message: 'up', arguments: 3, handle: 'undefined' },
  ]);
  for (const on of ['process', 'cluster.worker']) {
    t.deepEqual(heard(on), [{ on, message: 'down', arguments: 2, handle: 'undefined' }]);
  }
  t.deepEqual(
    lines.filter((line) => 'sender' in line),
    [{ sender: true, receiver: true }],
  );
});

test('send returns true on an idle channel, and calls back once, later, with null', async (t) => {
  const { lines } = await run(t, 'messages/message-events');
  const calls = lines.filter((line) => 'returned' in line || 'calledBack' in line);
  t.is(calls.length, 4);
  t.deepEqual(
    calls.filter((line) => 'returned' in line),
    [{ returned: true }, { returned: true }],
  );
  t.deepEqual(
    calls.filter((line) => 'calledBack' in line),
    [{ calledBack: null }, { calledBack: null }],
  );
});

test('10,000 messages each way at once all arrive, in order, each with one callback', async (t) => {
  const count = 10_000;
  const { lines, code } = await run(t, 'messages/exchange', { args: [String(count)] });
  t.is(code, 0);
  for (const role of roles) {
    t.deepEqual(of(lines, role), [{ received: count, disordered: 0, callbacks: count }]);
  }
});

for (const role of roles) {
  test(`a message that the ${role} sends after the disconnection is a later error`, async (t) => {
    const { lines } = await run(t, 'messages/send-after-disconnect');
    t.deepEqual(of(lines, role), [
      { returned: false, later: true },
      { calledBack: CLOSED },
      { event: 'error', code: CLOSED },
    ]);
  });
}

test("only messages whose cmd begins with 'NODE_' are internal", async (t) => {
  const { lines, code } = await run(t, 'messages/internal-messages');
  t.is(code, 0);
  const event = 'message';
  for (const role of roles) {
    t.deepEqual(of(lines, role), [
      { event: 'internalMessage', message: { cmd: 'NODE_TEST', with: [1, 2] } },
      { event, message: { cmd: 'NODE_' } },
      { event, message: { cmd: 'node_test' } },
      { event, message: { cmd: ['NODE_TEST'] } },
      { event, message: { cmd: 'A NODE_TEST' } },
      { event, message: ['NODE_TEST'] },
      { event, message: 'NODE_TEST' },
    ]);
  }
});

test('send() to workers that are being killed never throws, and calls back once', async (t) => {
  const { lines, code } = await run(t, 'messages/send-to-killed-workers', { args: ['10', '1000'] });
  t.is(code, 0);
  const { sent, outcomes, ...rest } = lines[0];
  t.true(sent >= 10_000);
  t.deepEqual(rest, { wrong: 0 });
  t.true(outcomes.includes('none') && outcomes.includes('ERR_IPC_CHANNEL_CLOSED'));
  t.deepEqual(
    outcomes.filter((code) => !['none', 'ERR_IPC_CHANNEL_CLOSED', 'EPIPE'].includes(code)),
    [],
  );
});

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const CLOSED = 'ERR_IPC_CHANNEL_CLOSED';

const roles = ['primary', 'worker'];
const of = (lines, role) =>
  lines.filter((line) => line.role === role).map(({ role: _, ...rest }) => rest);

test('every object that stands for the channel emits a message', async (t) => {
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

test('every value arrives as in JSON, however large', async (t) => {
  const { lines, code } = await run(t, 'messages/json-values');
  t.is(code, 0);
  t.true(lines.length > 20);
  t.deepEqual(
    lines.filter((line) => !line.same),
    [],
  );
});

test('a message that cannot be sent throws in the sender, and the channel stays open', async (t) => {
  const { lines, code } = await run(t, 'messages/unsendable-messages');
  t.is(code, 0);
  const wrong = { code: 'ERR_INVALID_ARG_TYPE', type: 'TypeError' };
  for (const role of roles) {
    t.deepEqual(of(lines, role), [
      { name: 'nothing', code: 'ERR_MISSING_ARGS', type: 'TypeError' },
      { name: 'undefined', code: 'ERR_MISSING_ARGS', type: 'TypeError' },
      { name: 'a symbol', ...wrong },
      { name: 'a function', ...wrong },
      { name: 'a bigint', ...wrong },
      { name: 'a handle that is none', code: 'ERR_INVALID_HANDLE_TYPE', type: 'TypeError' },
      { name: 'options that are none', ...wrong },
      { name: 'a circle', code: 'undefined', type: 'TypeError' },
      { message: 'a good one' },
    ]);
  }
});

for (const role of roles) {
  test(`a message sent in the ${role} after the disconnection is an error, later`, async (t) => {
    const { lines } = await run(t, 'messages/send-after-disconnect');
    t.deepEqual(of(lines, role), [
      { returned: false, later: true },
      { calledBack: CLOSED },
      { event: 'error', code: CLOSED },
    ]);
  });
}

test("messages sent before the worker's program begins wait for it", async (t) => {
  const { lines, code } = await run(t, 'messages/send-before-start');
  t.is(code, 0);
  t.deepEqual(lines, [{ received: [0, 1, 2, 3, 4] }]);
});

const ways = [
  'process.exit',
  'worker.disconnect',
  'process.disconnect',
  'worker.kill',
  'SIGKILL',
  'an error',
];
for (const way of ways) {
  test(`the last messages before a worker ends by ${way} arrive before its disconnect`, async (t) => {
    const count = 100;
    const { lines } = await run(t, 'messages/worker-flush', { args: [String(count), way] });
    const messages = Array.from({ length: count }, (_, index) => index);
    t.deepEqual(lines, [{ received: [...messages, 'disconnect'] }]);
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const MIB = 1024 * 1024;
// The limits that docs/api.md promises.
const MOST_MESSAGES = 1000;
const MOST_BYTES = 4 * MIB;

const warningsIn = (stderr) => stderr.match(/MessagesDroppedWarning/g)?.length ?? 0;

test('the memory of a worker that never listens to messages does not grow', async (t) => {
  const options = { args: [{ count: 100_000, length: 2000 }], warns: true };
  const { lines, stderr } = await run(t, 'messages/pending-messages', options);
  t.true(lines[0].growth < 64 * MIB, `it has grown by ${lines[0].growth} bytes`);
  t.is(warningsIn(stderr), isBuiltin ? 0 : 1);
});

test('a worker that listens late receives later messages', async (t) => {
  const options = {
    args: [{ count: MOST_MESSAGES + 500, length: 10, listens: true }],
    warns: true,
  };
  const { lines } = await run(t, 'messages/pending-messages', options);
  t.is(lines[0].last, 'late');
});

if (!isBuiltin) {
  for (const [what, count, length] of [
    ['number', MOST_MESSAGES, 10],
    ['size', 4, MOST_BYTES / 4],
  ]) {
    test(`a worker that listens late receives earlier messages up to the limit of their ${what}`, async (t) => {
      const enough = { args: [{ count, length, listens: true }] };
      const [all] = (await run(t, 'messages/pending-messages', enough)).lines;
      t.like(all, { heard: count + 1, first: '0', last: 'late' });

      const tooMany = { args: [{ count: count + 5, length, listens: true }], warns: true };
      const { lines, stderr } = await run(t, 'messages/pending-messages', tooMany);
      t.like(lines[0], { heard: count + 1, first: '0', last: 'late' });
      t.is(warningsIn(stderr), 1);
    });
  }

  test('the handle of a dropped message is closed', async (t) => {
    const options = { args: [{ count: MOST_MESSAGES, length: 10, socket: true }], warns: true };
    const { lines } = await run(t, 'messages/pending-messages', options);
    t.true(lines.some(({ closed }) => closed === 'the client'));
    t.true(lines.some(({ heard }) => heard === MOST_MESSAGES + 1));
  });
}

test("messages that are sent before the worker's program begins wait for it", async (t) => {
  const { lines, code } = await run(t, 'messages/send-before-start');
  t.is(code, 0);
  t.deepEqual(lines, [{ received: [0, 1, 2, 3, 4] }]);
});

// With the built-in module, workers have their own listener from the start, and drop messages to which the
// program does not listen.
if (!isBuiltin) {
  for (const emitter of ['process', 'cluster.worker']) {
    test(`a worker that listens late on ${emitter} gets all messages, in order`, async (t) => {
      const { lines, code } = await run(t, 'messages/late-listener', { args: [emitter, 'on'] });
      t.is(code, 0);
      t.deepEqual(lines, [{ received: [0, 1, 2, 3, 4, 5] }]);
    });

    test(`a worker that repeatedly calls once() on ${emitter} receives every message`, async (t) => {
      const { lines, code } = await run(t, 'messages/late-listener', { args: [emitter, 'once'] });
      t.is(code, 0);
      t.deepEqual(lines, [{ received: [0, 1, 2, 3, 4, 5] }]);
    });
  }
}

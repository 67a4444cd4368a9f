'use strict';

const { serial: test } = require('ava');
const { run, start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { HAS_PROC, becomesTrue, isAlive } = require('../../tools/process-group');

const upTo = (count) => Array.from({ length: count }, (_, index) => index);

/** The ways in which a worker ends after its last messages. */
const WORKER_ENDS = [
  'process.exit',
  'worker.disconnect',
  'process.disconnect',
  'worker.kill',
  'SIGKILL',
  'an error',
];

for (const way of WORKER_ENDS) {
  test(`the last messages before a worker ends by ${way} arrive before its disconnect`, async (t) => {
    const count = 100;
    const { lines } = await run(t, 'messages/worker-flush', { args: [String(count), way] });
    t.deepEqual(lines, [{ received: [...upTo(count), 'disconnect'] }]);
  });
}

for (const way of ['process.exit', 'the end of its script', 'SIGKILL', 'an error']) {
  test(`the last messages of a primary that ends by ${way} arrive`, async (t) => {
    const { lines } = await run(t, 'messages/primary-flush', { args: ['100', way, '0'] });
    t.deepEqual(lines, [{ received: upTo(100) }]);
  });
}

// With the built-in module, messages that the kernel has not taken are lost.
if (!isBuiltin) {
  const size = String(64 * 1024);

  for (const way of ['process.exit', 'the end of its script', 'an error']) {
    test(`everything arrives from a primary that ends by ${way}, even more than the channel takes`, async (t) => {
      const { lines } = await run(t, 'messages/primary-flush', { args: ['100', way, size] });
      t.deepEqual(lines, [{ received: upTo(100) }]);
    });
  }

  for (const way of WORKER_ENDS.filter((way) => way !== 'SIGKILL')) {
    test(`everything arrives from a worker that ends by ${way}, even more than the channel takes`, async (t) => {
      const { lines } = await run(t, 'messages/worker-flush', { args: ['100', way, size] });
      t.deepEqual(lines, [{ received: [...upTo(100), 'disconnect'] }]);
    });
  }
}

if (HAS_PROC) {
  test('a worker whose primary reads nothing exits anyway', async (t) => {
    const program = start(t, 'messages/flush-to-stopped-primary', { args: ['100'] });
    const { exits: pid } = await program.line({});
    t.true(await becomesTrue(() => !isAlive(pid), 20_000));
    program.signal('SIGCONT');
    const { lines, code } = await program.exited;
    t.is(code, 0);
    const { received, ...rest } = lines[1];
    t.deepEqual(rest, { code: 7, disordered: 0 });
    t.true(received < 100);
  });
}

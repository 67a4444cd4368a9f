'use strict';

const { serial: test } = require('ava');
const { run, start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { HAS_PROC, becomesTrue, isAlive } = require('../../tools/process-group');

const PEERS = { primary: 'worker', worker: 'primary' };

const upTo = (count) => Array.from({ length: count }, (_, index) => index);
const of = (lines, role) =>
  lines.filter((line) => line.role === role).map(({ role: _, ...rest }) => rest);

test("only messages whose cmd begins with 'NODE_' are internal", async (t) => {
  const { lines, code } = await run(t, 'messages/internal-messages');
  t.is(code, 0);
  const event = 'message';
  for (const role of Object.keys(PEERS)) {
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

// With the built-in module, workers have their own listener from the start, and drop messages to which the
// program does not listen.
if (!isBuiltin) {
  for (const emitter of ['process', 'cluster.worker']) {
    test(`a worker that listens late on ${emitter} gets all messages, in order`, async (t) => {
      const { lines, code } = await run(t, 'messages/late-listener', { args: [emitter, 'on'] });
      t.is(code, 0);
      t.deepEqual(lines, [{ received: upTo(6) }]);
    });

    test(`a worker that repeatedly calls once() on ${emitter} receives every message`, async (t) => {
      const { lines, code } = await run(t, 'messages/late-listener', { args: [emitter, 'once'] });
      t.is(code, 0);
      t.deepEqual(lines, [{ received: upTo(6) }]);
    });
  }
}

const holds = {
  worker: {
    nothing: { isHeld: true, unrefs: 0 },
    unref: { isHeld: false, unrefs: 0 },
    'unref and ref': { isHeld: true, unrefs: 0 },
    'no listeners': { isHeld: false, unrefs: 1 },
    'no listeners, then one': { isHeld: true, unrefs: 1 },
    'unref, and a listener': { isHeld: false, unrefs: 0 },
    'ref, and no listeners': { isHeld: true, unrefs: 0 },
  },
  primary: {
    nothing: { isHeld: true, unrefs: 0 },
    unref: { isHeld: false, unrefs: 0 },
    'unref and ref': { isHeld: true, unrefs: 0 },
  },
};
for (const [role, ways] of Object.entries(holds)) {
  for (const [way, expected] of Object.entries(ways)) {
    const does = expected.isHeld ? 'holds' : 'does not hold';
    test(`the channel ${does} an idle ${role} after: ${way}`, async (t) => {
      const { lines, code } = await run(t, 'messages/channel-ref', { args: [role, way] });
      t.is(code, 0);
      t.deepEqual(lines, [{ role, code: 0, connected: true, ...expected }]);
    });
  }
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

  const ways = [
    'process.exit',
    'worker.disconnect',
    'process.disconnect',
    'worker.kill',
    'an error',
  ];
  for (const way of ways) {
    test(`everything arrives from a worker that ends by ${way}, even more than the channel takes`, async (t) => {
      const { lines } = await run(t, 'messages/worker-flush', { args: ['100', way, size] });
      t.deepEqual(lines, [{ received: [...upTo(100), 'disconnect'] }]);
    });
  }
}

if (HAS_PROC) {
  for (const [sender, receiver] of Object.entries(PEERS)) {
    test(`send returns false in the ${sender} while much is queued, and no message is lost`, async (t) => {
      const { lines, code } = await run(t, 'messages/backpressure', { args: [sender, '1000'] });
      t.is(code, 0);
      const [meanwhile, { growth, bytes, accepted, ...after }] = of(lines, sender);
      const { sent } = after;
      t.true(meanwhile.calledMeanwhile <= accepted);
      t.true(accepted > 1 && accepted < 100, `${accepted} accepted`);
      t.deepEqual(after, { sent, refused: 1000, afterRefusal: 0, called: sent, disordered: 0 });
      t.true(growth < 3 * bytes, `${growth} bytes for ${bytes}`);
      t.deepEqual(of(lines, receiver), [{ received: sent, disordered: 0 }]);
    });

    // The built-in module does not have this event, and loses messages that the kernel has not taken with
    // the channel.
    if (isBuiltin) continue;
    test(`the ${sender} emits 'drain' once, when everything that was queued has been sent`, async (t) => {
      const { lines, code } = await run(t, 'messages/drain', { args: [sender, '20'] });
      t.is(code, 0);
      const [{ sent, ...drained }] = of(lines, sender);
      t.deepEqual(drained, {
        isWritable: true,
        drains: { worker: 20, process: 20 },
        calledAtDrain: Array(20).fill(true),
      });
      t.deepEqual(of(lines, receiver), [{ received: sent, disordered: 0 }]);
    });

    test(`messages that are queued in the ${sender} when it disconnects arrive`, async (t) => {
      const { lines } = await run(t, 'messages/disconnect-while-queued', { args: [sender] });
      t.deepEqual(of(lines, sender), [
        { returned: false, connected: false },
        { again: 'ERR_IPC_DISCONNECTED' },
        { calledBack: 'ERR_IPC_CHANNEL_CLOSED' },
        { called: 100, errors: [], connected: false },
      ]);
      t.deepEqual(of(lines, receiver), [{ received: 100, disordered: 0 }]);
    });
  }
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

test('sends that race the death of workers never throw, and each calls back once', async (t) => {
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

'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { HAS_PROC } = require('../../tools/process-group');

const PEERS = { primary: 'worker', worker: 'primary' };

const of = (lines, role) =>
  lines.filter((line) => line.role === role).map(({ role: _, ...rest }) => rest);

for (const role of ['primary', 'worker']) {
  test(`send() returns false in a ${role} whose peer is blocked, and nothing is lost`, async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const { lines, code } = await run(t, 'messages/blocked-peer', { args: [role, release] });
    t.is(code, 0);
    t.deepEqual(Object.assign({}, ...lines), {
      slowedDown: true,
      called: true,
      error: null,
      returned: true,
      whole: true,
    });
  });
}

if (HAS_PROC) {
  for (const [sender, receiver] of Object.entries(PEERS)) {
    test(`send() returns false in the ${sender} while its peer is stopped, and no message is lost`, async (t) => {
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

    // The built-in module has no 'drain' event, and loses messages that the kernel has not taken when the
    // channel closes.
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
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

/**
 * Runs attacks, and sends a request to another worker after each. Resolves to how many faults each attack
 * has caused.
 */
async function faultsOf(t, ...args) {
  const { code, lines } = await run(t, 'faults/hostile-messages', { args, warns: true });
  t.is(code, 0);
  const outcomes = lines.filter(({ faults }) => faults !== undefined);
  t.true(outcomes.every(({ statusCode }) => statusCode === 200));
  const faults = lines.filter(({ message }) => message !== undefined);
  t.true(faults.every(({ code }) => code === 'ERR_RS_CLUSTER_PROTOCOL'));
  return outcomes.map(({ faults }) => faults);
}

const all = (count) => (faults) => faults.length > 0 && faults.every((each) => each === count);

if (!isBuiltin) {
  for (const mode of ['json', 'advanced']) {
    test(`an invalid internal message is a fault of its worker, with ${mode} messages`, async (t) => {
      const faults = await faultsOf(t, 'internal', mode);
      t.true(all(1)(faults), `${faults}`);
    });

    test(`an unreadable message is a fault of its worker, with ${mode} messages`, async (t) => {
      const faults = [
        ...(await faultsOf(t, 'messages', mode)),
        ...(await faultsOf(t, 'bytes', mode)),
      ];
      t.true(all(1)(faults), `${faults}`);
    });

    test(`unusual messages are harmless, with ${mode} messages`, async (t) => {
      const faults = await faultsOf(t, 'unusual', mode);
      t.true(all(0)(faults), `${faults}`);
    });
  }

  test('a handle of the wrong type is a fault of its worker', async (t) => {
    const faults = await faultsOf(t, 'handles');
    t.true(all(1)(faults), `${faults}`);
  });

  test('a flood of internal messages is a fault of its worker', async (t) => {
    const faults = await faultsOf(t, 'floods');
    t.true(all(1)(faults), `${faults}`);
  });

  test('a channel that a living worker does not read is a fault', async (t) => {
    const { lines, code } = await run(t, 'faults/channel-not-read');
    t.is(code, 0);
    const message = 'the other process does not read the IPC channel';
    t.deepEqual(lines, [{ code: 'ERR_RS_CLUSTER_PROTOCOL', message }, { called: 30 }]);
  });

  test('a socket that fails does not end a primary that ignores it', async (t) => {
    t.deepEqual(await faultsOf(t, 'broken'), [0]);
  });
} else {
  test('the built-in module trusts its workers', (t) => t.pass());
}

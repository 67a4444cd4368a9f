'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// The descriptors of a worker's lanes. The built-in module has one channel, and trusts everything that
// comes through it.
const lanes = { message: 3, control: 4, connection: 5 };
const code = 'ERR_RS_CLUSTER_PROTOCOL';

if (!isBuiltin) {
  for (const [name, number] of Object.entries(lanes)) {
    test(`garbage on the ${name} lane ends its worker, and nothing else`, async (t) => {
      const args = [String(number), 'unheard'];
      const { lines, ...result } = await run(t, 'faults/invalid-bytes', { args, warns: true });
      t.is(result.code, 0);
      t.like(
        lines.find(({ warning }) => warning),
        { warning: code },
      );
      t.like(
        lines.find(({ exit }) => exit === 1),
        { code: 0, exitedAfterDisconnect: false },
      );
      t.like(
        lines.find(({ served }) => served),
        { served: 2, statusCode: 200 },
      );
    });
  }

  test('garbage is an error event if there is a listener', async (t) => {
    const { lines, ...result } = await run(t, 'faults/invalid-bytes', { args: ['3', 'heard'] });
    t.is(result.code, 0);
    t.deepEqual(lines[0], { error: 1, code });
    t.deepEqual(
      lines.filter(({ warning }) => warning),
      [],
    );
  });
} else {
  test('garbage from a worker ends the primary', async (t) => {
    const { code } = await run(t, 'faults/invalid-bytes', { args: ['3', 'unheard'] });
    t.is(code, 1);
  });
}

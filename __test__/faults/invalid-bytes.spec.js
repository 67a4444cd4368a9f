'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// The descriptors by which a worker is connected to its primary. The built-in module has one channel, and
// trusts everything that comes through it.
const descriptors = { 'IPC channel': 3, 'control socket': 4, 'hand-off queue': 5 };
const code = 'ERR_RS_CLUSTER_PROTOCOL';

if (!isBuiltin) {
  for (const [name, number] of Object.entries(descriptors)) {
    test(`invalid bytes on the ${name} end their worker, and nothing else`, async (t) => {
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

  test("invalid bytes are an 'error' event if there is a listener", async (t) => {
    const { lines, ...result } = await run(t, 'faults/invalid-bytes', { args: ['3', 'heard'] });
    t.is(result.code, 0);
    t.deepEqual(lines[0], { error: 1, code });
    t.deepEqual(
      lines.filter(({ warning }) => warning),
      [],
    );
  });
} else {
  test('invalid bytes from a worker end the primary', async (t) => {
    const { code } = await run(t, 'faults/invalid-bytes', { args: ['3', 'unheard'] });
    t.is(code, 1);
  });
}

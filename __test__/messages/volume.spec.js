'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const roles = ['primary', 'worker'];
// The built-in module takes as long for a tenth of these messages.
const MANY = isBuiltin ? 100_000 : 1_000_000;
const timeout = 110_000;

for (const serialization of ['json', 'advanced']) {
  test(`one message of 256 MiB arrives each way, by serialization '${serialization}'`, async (t) => {
    const { lines, code } = await run(t, 'messages/huge-message', {
      args: ['256', serialization],
      timeout,
    });
    t.is(code, 0);
    t.deepEqual(
      lines.filter(({ role }) => role),
      [
        { role: 'worker', isSame: true },
        { role: 'primary', isSame: true },
      ],
    );
    t.deepEqual(
      lines.filter(({ error }) => error !== undefined),
      [{ error: null }],
    );
  });
}

test(`${MANY} messages each way at once all arrive, in order`, async (t) => {
  const { lines, code } = await run(t, 'messages/exchange', { args: [String(MANY)], timeout });
  t.is(code, 0);
  for (const role of roles) {
    t.deepEqual(
      lines.filter((line) => line.role === role),
      [{ role, received: MANY, disordered: 0, callbacks: MANY }],
    );
  }
});

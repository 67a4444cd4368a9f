'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// `npm run soak -- --minutes 10` does the same for longer.
const SECONDS = 5;

if (!isBuiltin) {
  for (const policy of ['rr', 'reuseport']) {
    test(`clients of other workers lose no answer because of malicious workers, under ${policy}`, async (t) => {
      const options = { args: [`${SECONDS}`, policy, `${process.pid}`], warns: true };
      const { code, lines } = await run(t, 'faults/soak', options);
      t.is(code, 0);
      const summary = lines.find(({ requests }) => requests !== undefined);
      t.like(summary, { lost: 0, honestExits: 0 });
      t.true(summary.requests > 50 && summary.attacks > 4, JSON.stringify(summary));
    });
  }
} else {
  test('the built-in module trusts its workers', (t) => t.pass());
}

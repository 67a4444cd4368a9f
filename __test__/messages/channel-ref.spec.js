'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

/** Whether an idle process gets an answer after these calls, because its channel keeps it running. */
const outcomes = {
  worker: {
    nothing: { isAnswered: true, unrefs: 0 },
    unref: { isAnswered: false, unrefs: 0 },
    'unref and ref': { isAnswered: true, unrefs: 0 },
    'no listeners': { isAnswered: false, unrefs: 1 },
    'no listeners, then one': { isAnswered: true, unrefs: 1 },
    'unref, and a listener': { isAnswered: false, unrefs: 0 },
    'ref, and no listeners': { isAnswered: true, unrefs: 0 },
  },
  primary: {
    nothing: { isAnswered: true, unrefs: 0 },
    unref: { isAnswered: false, unrefs: 0 },
    'unref and ref': { isAnswered: true, unrefs: 0 },
  },
};
for (const [role, ways] of Object.entries(outcomes)) {
  for (const [way, expected] of Object.entries(ways)) {
    const does = expected.isAnswered ? 'keeps' : 'does not keep';
    test(`the channel ${does} an idle ${role} running after: ${way}`, async (t) => {
      const { lines, code } = await run(t, 'messages/channel-ref', { args: [role, way] });
      t.is(code, 0);
      t.deepEqual(lines, [{ role, code: 0, connected: true, ...expected }]);
    });
  }
}

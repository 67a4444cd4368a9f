'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

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

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const NONE = 1;
const ROUND_ROBIN = 2;

for (const [value, policy] of [
  [undefined, ROUND_ROBIN],
  ['rr', ROUND_ROBIN],
  ['none', NONE],
  ['nonsense', ROUND_ROBIN],
]) {
  test(`NODE_CLUSTER_SCHED_POLICY=${value} makes the policy ${policy}`, async (t) => {
    const env = value && { NODE_CLUSTER_SCHED_POLICY: value };
    const { lines } = await run(t, 'policies/scheduling-policy', { env });
    t.deepEqual(lines, [{ policy }]);
  });
}

for (const method of ['fork', 'setupPrimary']) {
  test(`a bad schedulingPolicy makes the first ${method} throw`, async (t) => {
    const { lines } = await run(t, 'policies/scheduling-policy', { args: ['99', method] });
    t.is(lines[1].attempt, method);
    t.regex(lines[1].error, /Bad cluster\.schedulingPolicy: 99/);
  });

  test(`a schedulingPolicy set after the first ${method} has no effect`, async (t) => {
    const { lines, code } = await run(t, 'policies/scheduling-policy', {
      args: [String(NONE), method],
    });
    t.is(code, 0);
    t.deepEqual(lines.slice(1), [
      { attempt: method, policy: NONE },
      { attempt: 'fork', policy: 99 },
    ]);
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const NONE = 1;
const ROUND_ROBIN = 2;
const LEAST_CONNECTIONS = 3;
const SOURCE_HASH = 4;
const REUSEPORT = 5;

const values = [
  [undefined, ROUND_ROBIN],
  ['rr', ROUND_ROBIN],
  ['none', NONE],
  ['nonsense', ROUND_ROBIN],
];
if (!isBuiltin) {
  values.push(
    ['least-connections', LEAST_CONNECTIONS],
    ['source-hash', SOURCE_HASH],
    ['reuseport', REUSEPORT],
  );
}
for (const [value, policy] of values) {
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

if (isBuiltin) {
  test('the built-in module has two policies', (t) => {
    const policies = Object.keys(require('node:cluster')).filter((name) => /^SCHED_/.test(name));
    t.deepEqual(policies, ['SCHED_NONE', 'SCHED_RR']);
  });
}

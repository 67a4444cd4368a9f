'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const EXPECTED = [
  { value: 'an error', context: 'of error' },
  { value: 'its own cause', context: 'of cyclic' },
  { value: "'a string'", context: 'of string' },
  { value: '5', context: 'of number' },
  { value: 'null', context: 'of nothing' },
  { value: 'undefined', context: 'of absent' },
  { value: 'Symbol(symbol)', context: 'of symbol' },
  { value: '{ a: 1 }', context: 'of object' },
  { value: '[Object: null prototype] { b: 2 }', context: 'of bare' },
  { value: '{ toString: [Function: toString] }', context: 'of stubborn' },
];

for (const event of ['connection', 'message']) {
  for (const policy of event === 'connection' ? ['rr', 'none'] : ['rr']) {
    test(`every value that a listener of '${event}' throws is uncaught, in its context: ${policy}`, async (t) => {
      const { lines, code } = await run(t, 'api/thrown-values', {
        args: [event],
        env: { NODE_CLUSTER_SCHED_POLICY: policy },
      });
      t.is(code, 0);
      t.deepEqual(lines, EXPECTED);
    });
  }
}

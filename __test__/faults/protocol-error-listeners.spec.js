'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

if (!isBuiltin) {
  const code = 'ERR_RS_CLUSTER_PROTOCOL';

  for (const [where, heard] of [
    [[], [{ warning: code }]],
    [['worker'], [{ heard: 'worker', code }]],
    [['process'], [{ heard: 'process', code }]],
    [
      ['worker', 'process'],
      [
        { heard: 'worker', code },
        { heard: 'process', code },
      ],
    ],
  ]) {
    const listeners = where.length === 0 ? 'no listeners' : `listeners on ${where.join(' and ')}`;
    test(`a worker that breaks the protocol is reported with ${listeners}`, async (t) => {
      const { lines, ...result } = await run(t, 'faults/protocol-error-listeners', {
        args: where,
        warns: true,
      });
      t.is(result.code, 0);
      const own = where.includes('worker') ? 1 : 0;
      t.deepEqual(lines, [...heard, { code: 0, listeners: own }]);
    });
  }
}

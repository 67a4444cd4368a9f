'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const names = [
  'SCHED_LEAST_CONNECTIONS',
  'SCHED_NONE',
  'SCHED_REUSEPORT',
  'SCHED_RR',
  'SCHED_SOURCE_HASH',
  'Worker',
  'disconnect',
  'fork',
  'isMaster',
  'isPrimary',
  'isWorker',
  'schedulingPolicy',
  'settings',
  'setupMaster',
  'setupPrimary',
  'stats',
  'supervise',
  'worker',
  'workers',
];

// The built-in module has different names in each role, so a file that imports `fork` by its name can't be
// a worker.
if (!isBuiltin) {
  for (const [way, nodeArgs] of Object.entries({
    'without rs-cluster/register': [],
    'with rs-cluster/register': ['--import', 'rs-cluster/register'],
  })) {
    test(`every name can be imported in every role, ${way}`, async (t) => {
      const { lines, code } = await run(t, 'api/named-imports.mjs', { nodeArgs });
      t.is(code, 0);
      const [primary, worker] = lines;
      t.deepEqual(primary, { role: 'primary', names, absent: ['worker'], different: [] });
      t.like(worker, { role: 'worker', names, different: [] });
      t.deepEqual(worker.absent, [
        'SCHED_LEAST_CONNECTIONS',
        'SCHED_NONE',
        'SCHED_REUSEPORT',
        'SCHED_RR',
        'SCHED_SOURCE_HASH',
        'disconnect',
        'fork',
        'schedulingPolicy',
        'settings',
        'setupMaster',
        'setupPrimary',
        'stats',
        'workers',
      ]);
    });
  }
} else {
  test('the built-in module has only the names of its role', async (t) => {
    const { default: _, ...names } = await import('node:cluster');
    t.true('fork' in names);
    t.false('worker' in names);
  });
}

'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const find = (lines, pattern) =>
  lines.find((line) => Object.entries(pattern).every(([key, value]) => line[key] === value));

test('the primary and the worker know their roles', async (t) => {
  const { lines, code } = await run(t, 'api/roles');
  t.is(code, 0);
  const primary = find(lines, { role: 'primary' });
  t.like(primary, { isPrimary: true, isMaster: true, isWorker: false, emitter: true });
  t.like(primary, { workers: {}, settings: {}, SCHED_NONE: 1, SCHED_RR: 2, worker: 'undefined' });
  t.true(Object.values(primary.types).every((type) => type === 'function'));

  const worker = find(lines, { role: 'worker' });
  t.like(worker, { isPrimary: false, isMaster: false, isWorker: true, emitter: true });
  t.like(worker, { worker: { id: 1, state: 'online' }, instance: true, itself: true });
  t.like(worker, { dead: false, connected: true, exitedAfterDisconnect: 'undefined' });
});

const identities = [
  [
    'a primary',
    undefined,
    { isPrimary: true, isMaster: true, isWorker: false, worker: 'undefined' },
  ],
  ['a worker', '5', { isPrimary: false, isMaster: false, isWorker: true, worker: 5 }],
];
for (const [who, NODE_UNIQUE_ID, expected] of identities) {
  test(`NODE_UNIQUE_ID makes a process ${who} at its start, and only then`, async (t) => {
    const { lines, code } = await run(t, 'api/identity', { env: { NODE_UNIQUE_ID } });
    t.is(code, 0);
    t.deepEqual(lines, [
      { ...expected, variable: 'undefined' },
      { ...expected, variable: NODE_UNIQUE_ID ? '' : '9' },
    ]);
  });
}

test('the deprecated names are aliases of the current ones', async (t) => {
  const { lines, code } = await run(t, 'api/deprecated-names');
  t.is(code, 0);
  const args = ['by the old name'];
  t.like(lines[0], { same: true, isMaster: true, args });
  // fork() emits 'setup' a second time.
  t.deepEqual(
    lines.filter(({ setup }) => setup),
    [{ setup: args }, { setup: args }],
  );
  // Node removed this name in v9.
  if (isBuiltin) return;
  t.deepEqual(
    lines.filter(({ suicide }) => suicide !== undefined),
    [{ suicide: 'undefined' }, { suicide: true }, { suicide: false, exitedAfterDisconnect: false }],
  );
  t.deepEqual(find(lines, { worker: true }), { worker: true });
});

test('fork returns a worker that already has its pid', async (t) => {
  const { lines } = await run(t, 'api/roles');
  const forked = find(lines, { role: 'forked' });
  t.is(forked.pid, find(lines, { role: 'worker' }).pid);
  t.like(forked, { id: 1, instance: true, childProcess: true, state: 'none', listed: true });
  t.like(forked, { dead: false, connected: true, exitedAfterDisconnect: 'undefined' });
});

test('fork emits setup and fork, in this order, on the next tick', async (t) => {
  const { lines } = await run(t, 'api/roles');
  // The worker's events may come first, because it may be faster than its primary.
  const ofPrimary = lines.filter(({ role }) => role !== 'worker');
  const forked = ofPrimary.findIndex(({ role }) => role === 'forked');
  t.deepEqual(ofPrimary.slice(forked + 1, forked + 4), [
    { event: 'setup', same: true },
    { event: 'fork', same: true },
    { event: 'the tick after that' },
  ]);
});

test('a worker does not have the methods that only a primary has', async (t) => {
  const { lines } = await run(t, 'api/roles');
  const worker = find(lines, { role: 'worker' });
  t.deepEqual(worker.types, {
    fork: 'undefined',
    setupPrimary: 'undefined',
    setupMaster: 'undefined',
    disconnect: 'undefined',
    Worker: 'function',
  });
  t.like(worker, { workers: 'undefined', settings: 'undefined', uniqueId: 'undefined' });
});

test('the Worker class works without a process, and without new', async (t) => {
  const { lines } = await run(t, 'api/worker-class');
  const rest = { process: 'undefined', exitedAfterDisconnect: 'undefined' };
  t.deepEqual(lines[0], {
    empty: { id: 0, state: 'none', ...rest },
    given: { id: 7, state: 'online', ...rest, process: 'object' },
    called: { id: 3, state: 'none', ...rest },
    instance: true,
  });
});

test('a Worker passes on what its process does and emits', async (t) => {
  const { lines } = await run(t, 'api/worker-class');
  t.deepEqual(lines[1], {
    isConnected: [true, false],
    isDead: [false, true, true],
    sent: ['message', 'handle', 'options', 'callback'],
    returned: 'what send returns',
    heard: [
      ['message', 'a message', 'a handle'],
      ['error', 'an error'],
    ],
  });
});

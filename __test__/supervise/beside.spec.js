'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { FIXTURES } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const IDLE = { exec: path.join(FIXTURES, 'shared/idle.js'), args: [] };

/** Forks a worker that has no slot; resolves to its id and pid. */
async function fork(app, settings = IDLE) {
  const id = await app.perform('fork', settings);
  const { pid } = await app.line({ on: 'cluster', event: 'online', id });
  return { id, pid };
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('workers of fork() have no slot, and reload and scale leave them', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    const { id, pid } = await fork(app);
    t.is(id, 3);
    app.deploy(serves('two'));
    await app.perform('reload');
    await app.perform('scale', 1);
    const { slots, draining } = await app.status();
    t.false([...slots, ...draining].some((it) => it.pid === pid));
    t.true(isAlive(pid));
    const { list } = await app.perform('workers');
    t.true(list.some((worker) => worker.id === id));
    await app.end();
    t.false(isAlive(pid), 'stop drains it too');
  });

  test('a worker of fork() that ends is not replaced', async (t) => {
    const app = await startSupervised(t);
    const { id, pid } = await fork(app);
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'cluster', event: 'exit', id });
    // A replacement would have been started before this.
    await app.perform('restart', 0);
    t.is(app.started(), 4);
    await app.end();
  });

  test('setupPrimary() concerns fork() only', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    await app.perform('setup', { ...IDLE, execArgv: ['--no-deprecation'] });
    await app.perform('reload');
    const [pid] = await app.pids();
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    await app.untilSettled();
    t.deepEqual(new Set(await app.versions(4)), new Set(['one']));
    await app.end();
  });

  test('supervised workers and those of fork() serve the same address', async (t) => {
    const app = await startSupervised(t, { options: { workers: 1 } });
    const id = await app.perform('fork', {
      exec: path.join(app.directory, 'server.js'),
      args: [`${app.target.port}`],
    });
    const { pid } = await app.line({ on: 'cluster', event: 'listening', id });
    const [first] = await app.pids();
    const pids = new Set();
    const haveBothAnswered = async () => pids.add((await app.ask()).pid).size === 2;
    t.true(await becomesTrue(haveBothAnswered, 10_000));
    t.deepEqual(pids, new Set([first, pid]));
    await app.end();
  });

  test('events of supervised workers are those of any worker, in order', async (t) => {
    const app = await startSupervised(t, { options: { workers: 1 } });
    await app.perform('restart', 0);
    await app.untilSettled();
    await app.line({ on: 'cluster', event: 'exit', id: 1 });
    const seen = app.seen({ on: 'cluster', id: 1 });
    t.deepEqual(
      seen.map(({ event }) => event),
      ['fork', 'online', 'listening', 'disconnect', 'exit'],
    );
    t.is(new Set(seen.map(({ pid }) => pid)).size, 1);
    t.true(seen.at(-1).exitedAfterDisconnect);
    await app.end();
  });

  test('cluster.disconnect() stops the supervisor, and calls back', async (t) => {
    const app = await startSupervised(t);
    await app.perform('disconnectAll');
    t.is((await app.perform('state')).state, 'stopped');
    t.deepEqual((await app.perform('workers')).list, []);
    const { code } = await app.finish();
    t.is(code, 0);
  });
}

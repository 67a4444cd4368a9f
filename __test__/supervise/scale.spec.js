'use strict';

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, serves } = require('../helpers/programs');
const { startSupervised, untilGone } = require('../helpers/supervised');

// The built-in module does not supervise.
if (!isBuiltin) {
  test('there are as many workers as scale() says', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    const [first] = await app.pids();
    for (const wanted of [8, 1, 4]) {
      t.is(await app.perform('scale', wanted), wanted);
      const { slots, workers } = await app.untilSettled();
      t.is(workers, wanted);
      t.deepEqual(
        slots.map(({ slot }) => slot),
        Array.from({ length: wanted }, (_, slot) => slot),
      );
      t.is(slots[0].pid, first, 'the highest slots leave first');
    }
    await app.end();
  });

  test("scale() takes '+1', '-1' and 'auto'", async (t) => {
    const env = { WEB_CONCURRENCY: '3' };
    const app = await startSupervised(t, { options: { workers: 'auto', minUptime: 50 }, env });
    t.is((await app.pids()).length, 3);
    t.is(await app.perform('scale', '+2'), 5);
    t.is(await app.perform('scale', '-4'), 1);
    t.is(await app.perform('scale', 'auto'), 3);
    await app.end();
  });

  test('new workers that fail leave the number as it was', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 500 } });
    const pids = await app.pids();
    app.deploy(BROKEN['exits at start'].source);
    const error = await t.throwsAsync(app.perform('scale', 4));
    t.is(error.exitCode, 3);
    t.true(error.stderr.includes('no database'));
    const { workers, slots } = await app.untilSettled();
    t.is(workers, 2);
    t.deepEqual(
      slots.map(({ pid }) => pid),
      pids,
    );
    await app.end();
  });

  test('workers that are taken away finish what they have', async (t) => {
    const app = await startSupervised(t, { options: { drainTimeout: 2_000, minUptime: 50 } });
    const { ends, open } = await app.beginEverywhere();
    const [, pid] = await app.pids();
    t.is(await app.perform('scale', 1), 1);
    t.deepEqual(
      (await app.status()).draining.map((it) => it.pid),
      [pid],
    );
    t.like(await app.line({ on: 'supervisor', event: 'draining' }), { worker: 2, reason: 'scale' });
    t.like(await app.line({ on: 'supervisor', event: 'cut' }), {
      worker: 2,
      connections: open[1],
    });
    await untilGone(pid);
    await app.end();
    t.deepEqual(await Promise.all(ends), Array(ends.length).fill('ECONNRESET'));
  });

  test('restart() replaces one worker, by its slot or its id, start before stop', async (t) => {
    const app = await startSupervised(t, { options: { workers: 3 } });
    const before = await app.pids();
    app.deploy(serves('two'));
    await app.perform('restart', 1);
    const after = (await app.untilSettled()).slots;
    t.deepEqual(
      after.map(({ pid }, slot) => pid === before[slot]),
      [true, false, true],
    );
    t.like(app.events('replace', { reason: 'restart' }), [{ slot: 1, from: 2, to: 4 }]);
    await app.perform('restart', 4);
    t.like((await app.untilSettled()).slots[1], { worker: 5 });
    t.is((await app.perform('state')).generation, 1);
    await app.end();
  });

  test('a restart of a worker that does not exist, or does not start, rejects', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 1_000 } });
    const pids = await app.pids();
    await t.throwsAsync(app.perform('restart', 77), { message: /77/ });
    app.deploy(BROKEN['exits at start'].source);
    const error = await t.throwsAsync(app.perform('restart', 1));
    t.is(error.exitCode, 3);
    t.deepEqual(await app.pids(), pids);
    await app.end();
  });

  test('operations that are asked for at once happen one after the other', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    const results = await Promise.all([
      app.perform('scale', 3),
      app.perform('reload'),
      app.perform('restart', 0),
      app.perform('scale', 1),
    ]);
    t.is(results[0], 3);
    t.is(results[1].generation, 2);
    t.is(results[3], 1);
    const { slots, workers } = await app.untilSettled();
    t.is(workers, 1);
    t.is(slots[0].generation, 2);
    await app.end();
  });

  test('while it is held, no worker is replaced, and release() fills the slots', async (t) => {
    const app = await startSupervised(t, { options: { workers: 3 } });
    await app.perform('hold');
    await app.statusWhen((it) => it.held);
    const [, pid] = await app.pids();
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'cluster', event: 'exit', id: 2 });
    // A restart of another worker comes after a replacement would have come.
    const { slots } = await app.statusWhen((it) => it.slots[1].state !== 'ready');
    t.is(slots[1].pid, null);
    t.is(app.started(), 3);
    app.deploy(serves('two'));
    await app.perform('release');
    const status = await app.untilSettled();
    t.false(status.held);
    t.is(status.slots[1].worker, 4);
    await app.end();
  });

  test('a reload while it is held fills empty slots with new workers, and does not end the hold', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    await app.perform('hold');
    const [, pid] = await app.pids();
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'cluster', event: 'exit', id: 2 });
    app.deploy(serves('two'));
    await app.perform('reload');
    const { held, slots } = await app.untilSettled();
    t.true(held);
    t.deepEqual(
      slots.map(({ generation }) => generation),
      [2, 2],
    );
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    process.kill(slots[0].pid, 'SIGKILL');
    await app.statusWhen((it) => it.slots[0].pid === null);
    await app.perform('release');
    await app.untilSettled();
    await app.end();
  });
}

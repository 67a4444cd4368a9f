'use strict';

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, TELLS_WHEN_IT_LISTENS, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

// Longer than it takes to start a worker on a busy machine.
const LONG = 20_000;

// The built-in module does not supervise.
if (!isBuiltin) {
  test('a reload replaces every worker by one of the new program', async (t) => {
    const app = await startSupervised(t, { options: { workers: 3 } });
    const before = await app.ids();
    app.deploy(serves('two'));
    const result = await app.perform('reload');
    t.is(result.generation, 2);
    t.true(Number.isInteger(result.ms) && result.ms >= 300, `${result.ms}`);
    t.like(await app.perform('state'), { state: 'ready', generation: 2 });
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    const { slots } = await app.untilSettled();
    t.deepEqual(
      app.events('replace', { reason: 'reload' }).map(({ slot, from, to }) => [slot, from, to]),
      slots.map(({ slot, worker }) => [slot, before[slot], worker]),
    );
    t.deepEqual(
      app.events('draining', { reason: 'reload' }).map(({ worker }) => worker),
      before,
    );
    t.like(app.events('reload'), [{ generation: 2, ms: result.ms }]);
    await app.end();
  });

  test('nothing is taken away before the first new worker has been ready for minUptime', async (t) => {
    const minUptime = 1_500;
    const program = serves('one', { before: TELLS_WHEN_IT_LISTENS });
    const app = await startSupervised(t, { program, options: { workers: 3, minUptime } });
    const pids = await app.pids();
    const reloaded = app.perform('reload');
    const { id } = (await app.linesLike({ on: 'cluster', event: 'listening' }, 4)).at(-1);
    const status = await app.status();
    t.is(status.state, 'reloading');
    t.deepEqual(
      status.slots.map(({ pid }) => pid),
      pids,
    );
    t.is(app.started(), 4, 'there is only the canary');
    const first = await app.line({ on: 'supervisor', event: 'replace', reason: 'reload' });
    t.is(first.to, id);
    const { listens } = (await app.line({ from: id })).message;
    t.true(first.at - listens >= minUptime - 10, `${first.at - listens}`);
    await reloaded;
    await app.end();
  });

  test('the canary gets no connections during its minUptime', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 5_000 } });
    app.deploy(serves('two'));
    const reloaded = app.perform('reload');
    await app.linesLike({ on: 'cluster', event: 'listening' }, 3);
    t.deepEqual(new Set(await app.versions(6)), new Set(['one']));
    t.is(app.events('replace', { reason: 'reload' }).length, 0, 'so the test says something');
    await reloaded;
    await app.end();
  });

  test('there are never more than workers + maxSurge workers that start or are ready', async (t) => {
    // Workers take half a second to start, so that the checks find some that are starting.
    const program = `setTimeout(() => {\n${serves('one')}}, 500);`;
    for (const maxSurge of [0, 2]) {
      const options = { workers: 4, maxSurge, minUptime: 50 };
      const app = await startSupervised(t, { program, options });
      let isOver = false;
      const reloaded = app.perform('reload').then(() => {
        isOver = true;
      });
      let most = 0;
      let fewest = Infinity;
      while (!isOver) {
        const { running, ready } = await app.perform('census');
        most = Math.max(most, running);
        fewest = Math.min(fewest, ready);
      }
      await reloaded;
      t.is(most, 4 + maxSurge);
      t.true(fewest >= (maxSurge === 0 ? 3 : 4), `${fewest}`);
      await app.end();
    }
  });

  test('reloads that are asked for during a reload become one, with the last options', async (t) => {
    const app = await startSupervised(t);
    const env = (round) => ({ env: { CLUSTER: process.env.CLUSTER, ROUND: `${round}` } });
    const results = await Promise.all(
      [1, 2, 3, 4].map((round) => app.perform('reload', env(round))),
    );
    t.deepEqual(
      results.map(({ generation }) => generation),
      [2, 3, 3, 3],
    );
    t.is((await app.ask()).env.ROUND, '4');
    t.is((await app.perform('state')).generation, 3);
    t.is(app.started(), 6);
    await app.end();
  });

  test('a reload that is aborted goes on, and only its promise rejects', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 1_000 } });
    app.deploy(serves('two'));
    const aborted = app.perform('reloadUntilAborted');
    await app.linesLike({ on: 'cluster', event: 'fork' }, 3);
    await app.perform('abort');
    t.is((await t.throwsAsync(aborted)).name, 'AbortError');
    await app.line({ on: 'supervisor', event: 'reload' });
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    t.like(await app.perform('state'), { state: 'ready', generation: 2 });
    await app.end();
  });

  test('an environment is asked for at each reload, and not when a worker is replaced', async (t) => {
    const app = await startSupervised(t, { options: { environment: 'counts' } });
    t.is((await app.ask()).env.CALLS, '1');
    for (const pid of await app.pids()) process.kill(pid, 'SIGKILL');
    await app.linesLike({ on: 'supervisor', event: 'replace', reason: 'crash' }, 2);
    await app.untilSettled();
    t.is((await app.ask()).env.CALLS, '1');
    await app.perform('reload');
    t.is((await app.ask()).env.CALLS, '2');
    await app.end();
  });

  test('a reload whose env() throws rejects with the phase start, and changes nothing', async (t) => {
    const app = await startSupervised(t, { options: { environment: 'throwsLater' } });
    const pids = await app.pids();
    const error = await t.throwsAsync(app.perform('reload'), { message: /no environment today/ });
    t.is(error.phase, 'start');
    t.is(app.started(), 2);
    t.deepEqual(await app.pids(), pids);
    t.like(await app.perform('state'), { state: 'ready', generation: 1 });
    await app.end();
  });

  test('a worker of the old program that dies during a reload gets a successor', async (t) => {
    const app = await startSupervised(t, { options: { workers: 3, minUptime: 1_500 } });
    app.deploy(serves('two'));
    const [, pid] = await app.pids();
    const reloaded = app.perform('reload');
    await app.linesLike({ on: 'cluster', event: 'fork' }, 4);
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    await reloaded;
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    t.true((await app.untilSettled()).slots.every(({ generation }) => generation === 2));
    await app.end();
  });

  test('a worker that answers slowly does not hold up a reload, only maxGenerations does', async (t) => {
    const app = await startSupervised(t, {
      options: { workers: 1, maxGenerations: 2, drainTimeout: LONG, minUptime: 50 },
    });
    const [first] = await app.pids();
    const unanswered = t.throwsAsync(app.ask({ path: '/never' }));
    await app.line({ message: 'begun' });
    await app.perform('reload');
    t.deepEqual(
      (await app.status()).draining.map(({ pid, generation }) => [pid, generation]),
      [[first, 1]],
    );
    await app.perform('reload');
    await app.line({ on: 'supervisor', event: 'cut', worker: 1, connections: 1 });
    await unanswered;
    await app.end();
  });

  test('a reload during stop rejects', async (t) => {
    const app = await startSupervised(t, { options: { shutdownDelay: 500 } });
    app.deploy(BROKEN['never listens'].source);
    const running = t.throwsAsync(app.perform('reload'));
    await app.linesLike({ on: 'cluster', event: 'fork' }, 3);
    const stopped = app.perform('stop');
    await running;
    await t.throwsAsync(app.perform('reload'));
    await t.throwsAsync(app.perform('scale', 3));
    await stopped;
    await app.end();
  });
}

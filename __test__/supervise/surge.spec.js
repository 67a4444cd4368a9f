'use strict';

// Reloads in which a worker is stopped before the next one starts.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, TELLS_WHEN_IT_LISTENS, brokenSource, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

const OPTIONS = { workers: 3, maxSurge: 0, minUptime: 1_000 };

// The built-in module does not supervise.
if (!isBuiltin) {
  test('with maxSurge: 0 the canary takes the place of one worker, and nothing else is taken before it is well', async (t) => {
    // Longer than the checks below take.
    const minUptime = 5_000;
    const app = await startSupervised(t, { options: { ...OPTIONS, minUptime } });
    const pids = await app.pids();
    app.deploy(serves('two', { before: TELLS_WHEN_IT_LISTENS }));
    const reloaded = app.perform('reload');
    const { id } = (await app.linesLike({ on: 'cluster', event: 'listening' }, 4)).at(-1);
    const { slots } = await app.status();
    t.deepEqual(
      slots.slice(1).map(({ pid }) => pid),
      pids.slice(1),
    );
    t.true(app.events('draining').every(({ worker }) => worker === 1));
    t.deepEqual(new Set(await app.versions()), new Set(['one']));
    await reloaded;
    const second = app.events('draining')[1];
    const { listens } = (await app.line({ from: id })).message;
    t.true(second.at - listens >= minUptime - 10, `${second.at - listens}`);
    t.is(app.events('replace', { reason: 'reload' })[0].to, id);
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  for (const title of ['exits at start', 'throws right after it is ready']) {
    test(`with maxSurge: 0 code that ${title} costs one worker, which the old program replaces`, async (t) => {
      const app = await startSupervised(t, { options: { ...OPTIONS, environment: 'counts' } });
      const pids = await app.pids();
      app.deploy(
        `if (process.env.CALLS === '1') {\n${serves('one')}} else {\n${brokenSource(BROKEN[title])}}`,
      );
      const error = await t.throwsAsync(app.perform('reload'));
      t.is(error.slot, 0);
      const { slots, state, generation } = await app.untilSettled();
      t.deepEqual([state, generation], ['ready', 1]);
      t.deepEqual(
        slots.map(({ pid }) => pids.indexOf(pid)),
        [-1, 1, 2],
      );
      t.deepEqual(new Set(await app.versions()), new Set(['one']));
      await app.end();
    });
  }
}

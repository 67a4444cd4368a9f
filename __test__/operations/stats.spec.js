'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { startApp, statsOf, untilWaiting } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const sum = (counts) => counts.reduce((all, count) => all + count, 0);

if (!isBuiltin) {
  test('connections are counted, by listener and by worker', async (t) => {
    const app = await startApp(t, { workers: 2 });
    const held = get(app.target, { path: '/hold' });
    const { id } = await app.line({ server: 'holds' });
    await countAnswers(app.target, 9);
    const { listeners, workers } = await statsOf(app);
    const { handoverTimes, ...listener } = listeners[0];
    t.deepEqual([listeners.length, Object.keys(workers)], [1, ['1', '2']]);
    t.like(listener, {
      address: `127.0.0.1:${app.target.port}`,
      workers: [1, 2],
      accepted: 10,
      waiting: 0,
      returned: 0,
    });
    t.is(listener.handedOver, 10 + listener.rescued);
    t.deepEqual([handoverTimes.length, sum(handoverTimes)], [24, 10]);
    t.is(sum(Object.values(workers).map(({ handedOver }) => handedOver)), listener.handedOver);
    t.true(workers[id].open >= 1);
    app.tell(id, { do: 'release' });
    await held;
    await app.end();
  });

  test('the counts are available while workers, or clients, are stuck', async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const app = await startApp(t, { workers: 1 });
    app.tell(1, { do: 'block', until: release });
    await app.line({ blocked: 1 });
    const answer = get(app.target);
    await untilWaiting(app, 1);
    let stats = await statsOf(app);
    t.is(stats.listeners[0].accepted, 1);
    t.like(stats.workers[1], { handedOver: 1, waiting: 1, open: 1 });
    writeFileSync(release, '');
    await answer;
    do stats = await statsOf(app);
    while (stats.workers[1].open > 0 || stats.workers[1].stalled);
    t.like(stats.workers[1], { handedOver: 1, waiting: 0, stalled: false });
    await app.end();
  });

  test("an exited worker is removed, and the last one's listener too", async (t) => {
    const app = await startApp(t, { workers: 1 });
    app.send({ do: 'signal', id: 1, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id: 1 });
    t.like(await statsOf(app), { listeners: [], workers: {} });
    await app.end();
  });

  test('there are no counts under SCHED_NONE, or before the first fork', async (t) => {
    const app = await startApp(t, { workers: 1, policies: [1, 1] });
    await countAnswers(app.target, 3);
    const { listeners, workers } = await statsOf(app);
    t.deepEqual(listeners, []);
    t.like(workers[1], { handedOver: 0, waiting: 0, open: 0 });
    await app.end();
    const { lines } = await run(t, 'operations/stats-before-fork');
    t.deepEqual(lines, [{ listeners: [], workers: {} }]);
  });
} else {
  test('the built-in module has no counts', (t) => t.is(require('node:cluster').stats, undefined));
}

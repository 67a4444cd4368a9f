'use strict';

const { serial: test } = require('ava');
const { hold, startApp } = require('../helpers/app');
const { askEach, countAnswers, get } = require('../helpers/client');
const { majorVersion } = require('../helpers/version');

async function limit(app, id, connections, more) {
  app.tell(id, { do: 'limit', index: 0, connections, ...more });
  await app.line({ server: 'limited', id });
}

function release(app, workers) {
  for (const id of workers) app.tell(id, { do: 'release' });
}

/** Resolves to the ids of the workers that give these answers, in ascending order. */
async function workersOf(answers) {
  const ids = (await Promise.all(answers)).map(({ id }) => id);
  return ids.sort();
}

test('a worker that has reached maxConnections leaves connections to the other workers', async (t) => {
  const app = await startApp(t, { workers: 2 });
  await limit(app, 1, 1);
  const held = await hold(app, [1, 2]);
  t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
  release(app, [1, 2]);
  // Worker 2 may get more of them while worker 1 waits for a processor.
  const [first, ...others] = await workersOf(held);
  t.is(first, 1);
  t.true(others.every((id) => id === 2));
  // The worker has room again.
  await t.notThrowsAsync(async () => {
    while ((await get(app.target)).id !== 1);
  });
  await app.end();
});

test('a connection waits while every worker has reached maxConnections', async (t) => {
  const app = await startApp(t, { workers: 2 });
  for (const id of [1, 2]) await limit(app, id, 1);
  const held = await hold(app, [1, 2]);
  const waiting = get(app.target);
  release(app, [2]);
  t.is((await waiting).id, 2);
  release(app, [1]);
  t.deepEqual(await workersOf(held), [1, 2]);
  await app.end();
});

test('a server whose maxConnections is 0 behaves as without a cluster', async (t) => {
  const app = await startApp(t, { workers: 2 });
  await limit(app, 1, 0);
  // Depending on the version of Node, worker 1 accepts no connection or all of them.
  await t.notThrowsAsync(askEach(app.target, majorVersion < 22 ? [1, 2] : [2]));
  await app.end();
});

if (majorVersion >= 22) {
  test('a worker that is told to drop connections does not leave them to other workers', async (t) => {
    const app = await startApp(t, { workers: 1 });
    await limit(app, 1, 1, { drops: true });
    const held = await hold(app, [1]);
    await t.throwsAsync(get(app.target), { code: 'ECONNRESET' });
    await app.line({ server: 'dropped', id: 1 });
    release(app, [1]);
    t.is((await held[0]).id, 1);
    await app.end();
  });
}

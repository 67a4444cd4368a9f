'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { majorVersion } = require('../helpers/version');

async function limit(app, id, connections, more) {
  app.tell(id, { do: 'limit', index: 0, connections, ...more });
  await app.line({ server: 'limited', id });
}

/** Sends each worker a request that it does not answer yet; resolves to promises of the answers. */
async function hold(app, workers) {
  const answers = workers.map(() => get(app.target, { path: '/hold' }));
  for (const id of workers) await app.line({ server: 'holds', id });
  return answers;
}

function release(app, workers) {
  for (const id of workers) app.tell(id, { do: 'release' });
}

test('a worker that has reached maxConnections leaves connections to the other workers', async (t) => {
  const app = await startApp(t, { workers: 2 });
  await limit(app, 1, 1);
  const held = await hold(app, [1, 2]);
  t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
  release(app, [1, 2]);
  t.deepEqual((await Promise.all(held)).map(({ id }) => id).sort(), [1, 2]);
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
  t.deepEqual((await Promise.all(held)).map(({ id }) => id).sort(), [1, 2]);
  await app.end();
});

test('a server whose maxConnections is 0 behaves as without a cluster', async (t) => {
  const app = await startApp(t, { workers: 2 });
  await limit(app, 1, 0);
  // Depending on the version of Node, worker 1 accepts no connection or all of them.
  const expected = majorVersion < 22 ? { 1: 5, 2: 5 } : { 2: 10 };
  t.deepEqual(await countAnswers(app.target, 10), expected);
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

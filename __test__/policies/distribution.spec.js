'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { checkTurns, hold, startApp, untilWaiting } = require('../helpers/app');
const { connectionError, countAnswers, get } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

test('300 successive connections to 3 workers are 100 for each', async (t) => {
  const app = await startApp(t, { workers: 3 });
  await checkTurns(t, app, { 1: 100, 2: 100, 3: 100 });
  await app.end();
});

test('a new worker gets its share', async (t) => {
  const app = await startApp(t, { workers: 1 });
  t.deepEqual(await countAnswers(app.target, 5), { 1: 5 });
  app.send({ do: 'fork' });
  await app.line({ on: 'cluster', event: 'listening', id: 2 });
  await checkTurns(t, app, { 1: 10, 2: 10 });
  await app.end();
});

test('the share of a worker that died goes to the others', async (t) => {
  const app = await startApp(t, { workers: 3 });
  app.send({ do: 'signal', id: 2, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'exit', id: 2 });
  await checkTurns(t, app, { 1: 10, 3: 10 });
  await app.end();
});

test('the share of a worker that closed its server goes to the others', async (t) => {
  const app = await startApp(t, { workers: 3 });
  app.tell(2, { do: 'close', index: 0 });
  await app.line({ server: 'closed', id: 2 });
  await checkTurns(t, app, { 1: 10, 3: 10 });
  await app.end();
});

test('a disconnected worker finishes its responses, and gets no new connections', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const answers = await hold(app, [1, 2]);
  app.send({ do: 'disconnect', id: 1 });
  await app.line({ did: 'disconnect', id: 1 });
  t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
  app.tell(1, { do: 'release' });
  app.tell(2, { do: 'release' });
  const held = await Promise.all(answers);
  t.deepEqual([...new Set(held.map(({ id }) => id))].sort(), [1, 2]);
  const { exitedAfterDisconnect } = await app.line({ on: 'cluster', event: 'exit', id: 1 });
  t.true(exitedAfterDisconnect);
  await app.end();
});

test('a connection that waits for a worker which closes its server goes to another worker', async (t) => {
  const release = path.join(temporaryDirectory(t), 'release');
  const app = await startApp(t, { workers: 2 });
  app.tell(1, { do: 'block', until: release, next: { do: 'close', index: 0 } });
  await app.line({ blocked: 1 });
  const answers = Array.from({ length: 4 }, () => get(app.target));
  // If a connection waits for the blocked worker, it is the last one.
  const waiting = new Set(answers);
  for (const answer of answers) answer.then(() => waiting.delete(answer));
  while (waiting.size > 1) await Promise.race(waiting);
  writeFileSync(release, '');
  for (const { id } of await Promise.all(answers)) t.is(id, 2);
  await app.line({ server: 'closed', id: 1 });
  await app.end();
});

// With the built-in module, one of the connections waits for the blocked worker.
if (!isBuiltin) {
  test('no client waits for a blocked worker, and the worker serves again later', async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const app = await startApp(t, { workers: 2 });
    app.tell(1, { do: 'block', until: release });
    await app.line({ blocked: 1 });
    const burst = await Promise.all(Array.from({ length: 20 }, () => get(app.target)));
    t.true(burst.every(({ id }) => id === 2));
    t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
    writeFileSync(release, '');
    await t.notThrowsAsync(async () => {
      while ((await get(app.target)).id !== 1);
    });
    await app.end();
  });
}

// The built-in module accepts connections in the primary's JavaScript.
if (!isBuiltin) {
  test('connections are served while the primary is blocked for 3 seconds', async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const app = await startApp(t, { workers: 2 });
    app.send({ do: 'block', until: release });
    await app.line({ blocked: 'primary' });
    const end = Date.now() + 3000;
    do {
      // Workers do not take exact turns: the spinning primary takes a processor from them, and a worker
      // that has none for a while may lose a connection to the other worker.
      const { 1: first, 2: second } = await countAnswers(app.target, 20);
      t.true(first > 0 && second > 0);
    } while (Date.now() < end);
    t.deepEqual(app.seen({ blocked: 'no more' }), []);
    writeFileSync(release, '');
    await app.end();
  });
}

// With the built-in module, connections that wait for a killed worker hang forever.
if (!isBuiltin) {
  test('connections waiting for a killed worker are served by the others', async (t) => {
    const app = await startApp(t, { workers: 2 });
    for (const id of [1, 2]) {
      app.tell(id, { do: 'spin' });
      await app.line({ blocked: id });
    }
    const answers = Array.from({ length: 10 }, () => get(app.target));
    app.send({ do: 'fork' });
    await app.line({ on: 'cluster', event: 'listening', id: 3 });
    for (const id of [1, 2]) app.send({ do: 'signal', id, signal: 'SIGKILL' });
    t.deepEqual(
      (await Promise.all(answers)).map(({ id }) => id),
      Array(10).fill(3),
    );
    await app.end();
  });

  for (const [name, queueTimeout, end] of [
    ['after settings.queueTimeout', 100, undefined],
    ['by cluster.disconnect()', 60_000, 'end'],
  ]) {
    test(`connections that wait for the next worker are closed ${name}`, async (t) => {
      const app = await startApp(t, { workers: 1, settings: { queueTimeout } });
      app.tell(1, { do: 'spin' });
      await app.line({ blocked: 1 });
      const answer = get(app.target);
      await untilWaiting(app, 1);
      app.send({ do: 'signal', id: 1, signal: 'SIGKILL' });
      await app.line({ on: 'cluster', event: 'exit', id: 1 });
      if (end) {
        app.send({ do: end });
        await app.line({ all: 'disconnected' });
      }
      await t.throwsAsync(answer, { code: 'ECONNRESET' });
      t.is(await connectionError(app.target), 'ECONNREFUSED');
      await app.end();
    });
  }
}

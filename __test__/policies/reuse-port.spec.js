'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const {
  HOST,
  checkTurns,
  hold,
  served,
  startApp,
  statsOf,
  untilWaiting,
} = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const REUSEPORT = 5;

if (!isBuiltin) {
  const startWithOwnSockets = (t, options) =>
    startApp(t, { policies: [REUSEPORT, REUSEPORT], ...options });

  const startBlocked = async (t, options) => {
    const app = await startWithOwnSockets(t, options);
    for (let id = 1; id <= options.workers; id += 1) {
      app.tell(id, { do: 'spin' });
      await app.line({ blocked: id });
    }
    return app;
  };

  for (const [name, listen] of [
    ['an IPv4 address', { port: 0, host: HOST }],
    ['an IPv6 address', { port: 0, host: '::1' }],
    ['all addresses', { port: 0 }],
  ]) {
    test(`all workers accept from ${name} themselves`, async (t) => {
      const app = await startWithOwnSockets(t, { workers: 3, listen });
      const answers = await countAnswers(app.target, 100);
      t.deepEqual(Object.keys(answers), ['1', '2', '3']);
      const stats = await statsOf(app);
      t.like(stats.listeners, [{ workers: [1, 2, 3], accepted: 100, waiting: 0 }]);
      t.deepEqual(served(stats), answers);
      for (const { accepted, waiting } of Object.values(stats.workers)) {
        t.true(accepted > 0);
        t.is(waiting, 0);
      }
      await app.end();
    });
  }

  test('the port is in use for other processes, even if they would share it', async (t) => {
    const app = await startWithOwnSockets(t, { workers: 2 });
    for (const policy of [REUSEPORT, 1, 2]) {
      const other = await startApp(t, { policies: [policy, policy], listen: [], workers: 1 });
      other.tell(1, { do: 'listen', options: app.target });
      t.is((await other.line({ server: 'error' })).code, 'EADDRINUSE');
      await other.end();
    }
    await app.end();
  });

  test('connections that wait for killed workers are served by another worker', async (t) => {
    const app = await startBlocked(t, { workers: 2 });
    const answers = Array.from({ length: 30 }, () => get(app.target));
    app.send({ do: 'fork' });
    await app.line({ on: 'cluster', event: 'listening', id: 3 });
    for (const id of [1, 2]) app.send({ do: 'signal', id, signal: 'SIGKILL' });
    for (const { id } of await Promise.all(answers)) t.is(id, 3);
    t.deepEqual(await countAnswers(app.target, 20), { 3: 20 });
    await app.end();
  });

  test('connections of the only worker wait for the next one when it is killed', async (t) => {
    const app = await startBlocked(t, { workers: 1 });
    const answers = Array.from({ length: 30 }, () => get(app.target));
    await untilWaiting(app, 1);
    app.send({ do: 'signal', id: 1, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id: 1 });
    app.send({ do: 'fork' });
    for (const { id } of await Promise.all(answers)) t.is(id, 2);
    await app.end();
  });

  test('no client waits for a blocked worker, and the worker serves again later', async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const app = await startWithOwnSockets(t, { workers: 3 });
    app.tell(2, { do: 'block', until: release });
    await app.line({ blocked: 2 });
    t.deepEqual(Object.keys(await countAnswers(app.target, 60)), ['1', '3']);
    t.true((await statsOf(app)).workers[2].stalled);
    writeFileSync(release, '');
    while ((await get(app.target)).id !== 2);
    await app.end();
  });

  test('a paused worker gets no connections until it is resumed', async (t) => {
    const app = await startWithOwnSockets(t, { workers: 2 });
    app.send({ do: 'pause', id: 2 });
    // The worker learns of the pause with a delay.
    while ((await countAnswers(app.target, 20))[2] !== undefined);
    t.deepEqual(await countAnswers(app.target, 50), { 1: 50 });
    app.send({ do: 'resume', id: 2 });
    while ((await get(app.target)).id !== 2);
    await app.end();
  });

  test('a server that is full, or closed, leaves connections to other workers', async (t) => {
    const app = await startWithOwnSockets(t, { workers: 3 });
    app.tell(1, { do: 'close', index: 0 });
    await app.line({ server: 'closed', id: 1 });
    t.deepEqual(Object.keys(await countAnswers(app.target, 60)), ['2', '3']);
    app.tell(1, { do: 'relisten', index: 0, options: { port: 0, host: HOST } });
    while ((await get(app.target)).id !== 1);
    app.tell(2, { do: 'limit', index: 0, connections: 1 });
    await app.line({ server: 'limited', id: 2 });
    const held = await hold(app, [2]);
    t.deepEqual(Object.keys(await countAnswers(app.target, 60)), ['1', '3']);
    for (const id of [1, 2, 3]) app.tell(id, { do: 'release' });
    await Promise.all(held);
    await app.end();
  });

  test('connections wait in the backlog while all servers are full', async (t) => {
    const app = await startWithOwnSockets(t, { workers: 2 });
    for (const id of [1, 2]) {
      app.tell(id, { do: 'limit', index: 0, connections: 1 });
      await app.line({ server: 'limited', id });
    }
    const held = Array.from({ length: 400 }, () => get(app.target, { path: '/hold' }));
    await app.linesLike({ server: 'holds' }, 2);
    // Some connections go from worker to worker, at most a few times as many as hand-off queues hold. The
    // others stay in the backlog.
    let returned = 0;
    while (returned < 200) {
      const [listener] = (await statsOf(app)).listeners;
      t.true(listener.waiting < 150, `${listener.waiting} wait in the primary`);
      returned = listener.returned;
    }
    for (const id of [1, 2]) {
      app.tell(id, { do: 'limit', index: 0, connections: 1000 });
      await app.linesLike({ server: 'limited', id }, 2);
    }
    await app.linesLike({ server: 'holds' }, held.length);
    for (const id of [1, 2]) app.tell(id, { do: 'release' });
    t.is((await Promise.all(held)).length, held.length);
    await app.end();
  });

  test('connections are served while the primary is blocked', async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const app = await startWithOwnSockets(t, { workers: 2 });
    app.send({ do: 'block', until: release });
    await app.line({ blocked: 'primary' });
    t.deepEqual(Object.keys(await countAnswers(app.target, 60)), ['1', '2']);
    writeFileSync(release, '');
    await app.end();
  });

  test('connections to a Unix socket, which has no port, go to the workers in turn', async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'socket');
    const app = await startWithOwnSockets(t, { workers: 3, listen: { path: socketPath } });
    await checkTurns(t, app, { 1: 3, 2: 3, 3: 3 });
    await app.end();
  });
} else {
  test('the built-in module does not have this policy', (t) => {
    t.is(require('node:cluster').SCHED_REUSEPORT, undefined);
  });
}

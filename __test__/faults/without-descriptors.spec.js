'use strict';

// Connections are served by other processes, or wait, while a process has no descriptor left. The built-in
// module closes such connections.

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { HOST, startApp, statsOf, untilWaiting } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const CLIENTS = 200;
const POLICIES = ['rr', 'least-connections', 'source-hash', 'reuseport', 'none'];
const fewDescriptors = ['sh', '-c', 'ulimit -n 256 && exec "$@"', 'sh'];

function startWith(t, policy, options) {
  // Node 26 reads certificates in a thread, which uses a descriptor for a moment.
  const env = { NODE_CLUSTER_SCHED_POLICY: policy, NODE_EXTRA_CA_CERTS: '' };
  return startApp(t, { workers: 2, ...options }, { env, launcher: fewDescriptors, warns: true });
}

async function exhaustWorker(app, id) {
  app.tell(id, { do: 'exhaust' });
  await app.line({ exhausted: id });
}

async function refillWorker(app, id) {
  app.tell(id, { do: 'refill' });
  await app.line({ refilled: id });
}

async function tellPrimary(app, command) {
  const before = app.seen({ did: command.do }).length;
  app.send(command);
  await app.linesLike({ did: command.do }, before + 1);
}

/** Sends requests from many addresses, one after the other; resolves to how many each worker has answered. */
async function countFromEverywhere({ target }, count) {
  const answers = {};
  for (let i = 0; i < count; i += 1) {
    const { id } = await get(target, { localAddress: `127.0.0.${(i % 100) + 1}` });
    answers[id] = (answers[id] ?? 0) + 1;
  }
  return answers;
}

async function untilServedBy(app, ...ids) {
  const served = new Set();
  while (!ids.every((id) => served.has(id))) {
    for (const id of Object.keys(await countFromEverywhere(app, 20))) served.add(Number(id));
  }
}

function sum(answers) {
  return Object.values(answers).reduce((total, count) => total + count, 0);
}

/** Blocks worker 1 until the returned function is called. */
async function blockWorker(t, app) {
  const file = path.join(temporaryDirectory(t), 'release');
  app.tell(1, { do: 'block', until: file });
  await app.line({ blocked: 1 });
  return () => writeFileSync(file, '');
}

if (!isBuiltin) {
  for (const policy of POLICIES) {
    test(`a worker without descriptors is passed over (${policy}), and serves again later`, async (t) => {
      const app = await startWith(t, policy);
      await untilServedBy(app, 1, 2);
      await exhaustWorker(app, 1);
      t.deepEqual(await countFromEverywhere(app, CLIENTS), { 2: CLIENTS });
      await refillWorker(app, 1);
      await t.notThrowsAsync(untilServedBy(app, 1));
      await app.end();
    });

    test(`clients wait while no worker has descriptors (${policy})`, async (t) => {
      const app = await startWith(t, policy);
      await exhaustWorker(app, 1);
      await exhaustWorker(app, 2);
      const answers = Array.from({ length: 20 }, () => get(app.target));
      await refillWorker(app, 2);
      t.deepEqual(new Set((await Promise.all(answers)).map(({ id }) => id)), new Set([2]));
      await app.end();
    });

    test(`others serve while a worker and the primary have no descriptors (${policy})`, async (t) => {
      const app = await startWith(t, policy);
      await exhaustWorker(app, 1);
      await tellPrimary(app, { do: 'exhaust' });
      t.deepEqual(await countFromEverywhere(app, CLIENTS), { 2: CLIENTS });
      await refillWorker(app, 1);
      await t.notThrowsAsync(untilServedBy(app, 1));
      await tellPrimary(app, { do: 'refill' });
      await app.end();
    });
  }

  for (const policy of POLICIES) {
    test(`a primary without descriptors serves all clients (${policy})`, async (t) => {
      const app = await startWith(t, policy);
      await tellPrimary(app, { do: 'exhaust' });
      t.is(sum(await countFromEverywhere(app, CLIENTS)), CLIENTS);
      await tellPrimary(app, { do: 'refill' });
      t.is(sum(await countFromEverywhere(app, 20)), 20);
      await app.end();
    });
  }

  test('a worker accepts from its own socket again after it and the primary had no descriptors', async (t) => {
    const app = await startWith(t, 'reuseport');
    await exhaustWorker(app, 1);
    await tellPrimary(app, { do: 'exhaust' });
    await countFromEverywhere(app, 20);
    await refillWorker(app, 1);
    await tellPrimary(app, { do: 'refill' });
    const { accepted } = (await statsOf(app)).workers[1];
    await t.notThrowsAsync(async () => {
      while ((await statsOf(app)).workers[1].accepted === accepted) await get(app.target);
    });
    await app.end();
  });

  test('a primary without descriptors pauses workers, and takes back waiting connections', async (t) => {
    const app = await startWith(t, 'rr');
    const release = await blockWorker(t, app);
    await tellPrimary(app, { do: 'pause', id: 2 });
    const answers = Array.from({ length: 5 }, () => get(app.target));
    await untilWaiting(app, 1);
    await tellPrimary(app, { do: 'exhaust' });
    await tellPrimary(app, { do: 'pause', id: 1 });
    await tellPrimary(app, { do: 'resume', id: 2 });
    t.deepEqual(new Set((await Promise.all(answers)).map(({ id }) => id)), new Set([2]));
    release();
    await tellPrimary(app, { do: 'refill' });
    await app.end();
  });

  test('a primary without descriptors rescues connections that wait for a blocked worker', async (t) => {
    const app = await startWith(t, 'rr');
    const release = await blockWorker(t, app);
    await tellPrimary(app, { do: 'exhaust' });
    t.deepEqual(await countAnswers(app.target, CLIENTS), { 2: CLIENTS });
    release();
    await tellPrimary(app, { do: 'refill' });
    await app.end();
  });

  test('a primary without descriptors keeps connections that wait for a killed worker', async (t) => {
    const app = await startWith(t, 'rr');
    await blockWorker(t, app);
    await tellPrimary(app, { do: 'pause', id: 2 });
    const answers = Array.from({ length: 5 }, () => get(app.target));
    await untilWaiting(app, 1);
    await tellPrimary(app, { do: 'exhaust' });
    await tellPrimary(app, { do: 'signal', id: 1, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id: 1 });
    await tellPrimary(app, { do: 'resume', id: 2 });
    t.deepEqual(new Set((await Promise.all(answers)).map(({ id }) => id)), new Set([2]));
    await tellPrimary(app, { do: 'refill' });
    await app.end();
  });

  test('a primary without descriptors takes connections that a full worker returns', async (t) => {
    const app = await startWith(t, 'rr');
    app.tell(1, { do: 'limit', index: 0, connections: 0, drops: false });
    await app.line({ server: 'limited', id: 1 });
    await tellPrimary(app, { do: 'exhaust' });
    t.is(sum(await countAnswers(app.target, CLIENTS)), CLIENTS);
    await tellPrimary(app, { do: 'refill' });
    await app.end();
  });

  for (const policy of ['none', 'reuseport']) {
    test(`a worker without descriptors for a socket can listen later (${policy})`, async (t) => {
      const app = await startWith(t, policy, { workers: 1, listen: [] });
      await exhaustWorker(app, 1);
      const options = { port: await freePort(), host: HOST };
      app.tell(1, { do: 'listen', options });
      t.is((await app.line({ server: 'error', id: 1 })).code, 'EMFILE');
      await refillWorker(app, 1);
      app.tell(1, { do: 'relisten', index: 0, options });
      await app.line({ server: 'listening', id: 1 });
      t.is((await get(options)).id, 1);
      await app.end();
    });
  }
}

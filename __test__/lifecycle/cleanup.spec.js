'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { connectionError, get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { HAS_PROC } = require('../../tools/process-group');

// That no process is left behind, helpers/fixture.js checks in every test.

test('a primary whose workers are disconnected ends by itself', async (t) => {
  const app = await startApp(t, { workers: 2 });
  await get(app.target);
  const { code, signal } = await app.end();
  t.deepEqual([code, signal], [0, null]);
  t.is(await connectionError(app.target), 'ECONNREFUSED');
});

const circumstances = {
  'are idle': () => {},
  async 'are serving'(app) {
    // The server never answers, and the connections are open at the end.
    for (const held of [1, 2]) {
      get(app.target, { path: '/hold' }).catch(() => {});
      await app.linesLike({ server: 'holds' }, held);
    }
  },
};
// The built-in module leaves them spinning forever.
if (!isBuiltin) {
  const spin = async (app) => {
    for (const id of [1, 2]) {
      app.tell(id, { do: 'spin' });
      await app.line({ blocked: id });
    }
  };
  circumstances['spin in JavaScript'] = spin;
  circumstances['are disconnecting, and spin'] = async (app) => {
    await circumstances['are serving'](app);
    for (const id of [1, 2]) {
      // The order is certain, because messages and the request to disconnect arrive in order.
      app.send({ do: 'disconnect', id });
      await app.line({ did: 'disconnect', id });
    }
    await spin(app);
  };
}
for (const [name, prepare] of Object.entries(circumstances)) {
  test(`workers that ${name} are gone soon after their primary is killed`, async (t) => {
    const app = await startApp(t, { workers: 2 });
    await prepare(app);
    app.signal('SIGKILL');
    const { signal } = await app.exited;
    t.is(signal, 'SIGKILL');
    t.is(await connectionError(app.target), 'ECONNREFUSED');
  });
}

test('the listening socket of a killed worker closes', async (t) => {
  const app = await startApp(t, { workers: 1 });
  app.send({ do: 'count' });
  const before = await app.line({ did: 'count' });
  app.send({ do: 'signal', id: 1, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'exit' });
  await app.line({ on: 'cluster', event: 'disconnect' });
  t.is(await connectionError(app.target), 'ECONNREFUSED');
  app.send({ do: 'count' });
  const [, after] = await app.linesLike({ did: 'count' }, 2);
  t.true(after.descriptors < before.descriptors);
  await app.end();
});

if (HAS_PROC) {
  test('200 forks and exits leave no descriptor, zombie or worker', async (t) => {
    const { lines, code } = await run(t, 'lifecycle/many-forks', {
      args: ['200', '4'],
      timeout: 90_000,
    });
    t.is(code, 0);
    const { start, descriptors, ...rest } = lines.at(-1);
    t.deepEqual(rest, { forked: 200, children: [], workers: [] });
    t.is(descriptors, start);
  });
}

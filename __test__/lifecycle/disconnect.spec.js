'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const live = (t, worker, primary) =>
  run(t, 'lifecycle/one-worker', { args: [{ worker, ...primary }] });
const has = (pattern) => (line) => Object.entries(pattern).every(([key, is]) => line[key] === is);

test('a worker that the primary disconnects ends by itself, with exitedAfterDisconnect', async (t) => {
  const { lines, code } = await live(t, ['listen', 0], { on: 'listening', call: ['disconnect'] });
  t.is(code, 0);
  const exit = lines.find(has({ on: 'cluster', event: 'exit' }));
  t.like(exit, { args: [0, null], exitedAfterDisconnect: true });
});

test('disconnect() in the primary returns the worker, which leaves cluster.workers at once', async (t) => {
  const { lines } = await live(t, ['listen', 0], { on: 'listening', call: ['disconnect'] });
  t.like(lines.find(has({ primary: 'disconnect' })), {
    chained: true,
    exitedAfterDisconnect: true,
    state: 'listening',
    workers: [],
  });
});

test('a worker may be disconnected before it is online', async (t) => {
  const { lines, code } = await live(t, ['listen', 0], { on: 'now', call: ['disconnect'] });
  t.is(code, 0);
  t.like(lines.find(has({ on: 'cluster', event: 'exit' })), { args: [0, null] });
});

test('a disconnected worker goes on while it has more to do', async (t) => {
  const { lines } = await live(t, ['stayDisconnected'], {
    on: 'disconnect',
    call: ['process.kill', 'SIGKILL'],
  });
  t.like(lines.find(has({ on: 'cluster', event: 'exit' })), { args: [null, 'SIGKILL'] });
});

for (const NODE_CLUSTER_SCHED_POLICY of ['rr', 'none']) {
  test(`a server whose listen() is answered just before its worker is disconnected closes: ${NODE_CLUSTER_SCHED_POLICY}`, async (t) => {
    const args = [temporaryDirectory(t)];
    const { lines, code } = await run(t, 'lifecycle/disconnect-during-listen', {
      args,
      env: { NODE_CLUSTER_SCHED_POLICY },
    });
    t.is(code, 0);
    t.deepEqual(
      lines.filter(has({ on: 'cluster', event: 'exit' })).map(({ args }) => args),
      [
        [0, null],
        [0, null],
      ],
    );
    t.is(lines.filter(({ closed }) => closed).length, 2);
  });
}

test('a worker that disconnects itself exits with 0, and exitedAfterDisconnect', async (t) => {
  const { lines, code } = await live(t, ['call', 'disconnect']);
  t.is(code, 0);
  t.deepEqual(lines.filter(has({ worker: 'disconnect' })), [
    {
      worker: 'disconnect',
      state: 'disconnecting',
      exitedAfterDisconnect: true,
      chained: true,
    },
  ]);
  for (const event of ['disconnect', 'exit']) {
    t.true(lines.find(has({ on: 'worker', event })).exitedAfterDisconnect, event);
  }
  t.deepEqual(lines.find(has({ on: 'cluster', event: 'exit' })).args, [0, null]);
});

test('a worker whose channel closes unexpectedly exits with 0, without exitedAfterDisconnect', async (t) => {
  const { lines, code } = await live(t, ['stay'], { on: 'online', call: ['process.disconnect'] });
  t.is(code, 0);
  const exit = lines.find(has({ on: 'cluster', event: 'exit' }));
  t.like(exit, { args: [0, null], exitedAfterDisconnect: false });
});

test('the channel closes after the servers, and the servers close after their connections', async (t) => {
  const app = await startApp(t, { workers: 1 });
  const answer = get(app.target, { path: '/hold' });
  await app.line({ server: 'holds', id: 1 });
  app.tell(1, { do: 'disconnect' });
  t.true((await app.line({ server: 'disconnects' })).connected);
  app.tell(1, { do: 'release' });
  t.deepEqual(await answer, { id: 1, held: true });
  await app.line({ on: 'cluster', event: 'exit' });
  const { lines } = await app.end();
  const steps = lines.filter(({ on, server }) => on === 'cluster' || server);
  t.deepEqual(
    steps.slice(-3).map(({ server, event }) => server ?? event),
    ['closed', 'disconnect', 'exit'],
  );
});

test('a disconnected worker keeps the connections that it has opened itself', async (t) => {
  const { lines, code } = await run(t, 'lifecycle/outgoing-connection');
  t.is(code, 0);
  t.deepEqual(lines, [{ disconnected: 1 }, { heard: 'yes' }, { exit: 1, args: [0, null] }]);
});

for (const policy of ['rr', 'none']) {
  test(`a worker that begins to listen while it disconnects ends, and frees the address: ${policy}`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/listen-while-disconnecting', {
      args: [[await freePort(), await freePort()]],
      env: { NODE_CLUSTER_SCHED_POLICY: policy },
    });
    t.is(code, 0);
    t.deepEqual(lines, [{ code: 0, signal: null }]);
  });
}

for (const count of [0, 1, 3]) {
  // With several workers, the built-in module calls back when the first one has disconnected.
  if (count > 1 && isBuiltin) continue;
  test(`cluster.disconnect calls back when all of ${count} workers are disconnected`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/disconnect-all', { args: [count] });
    t.is(code, 0);
    t.deepEqual(lines.filter(has({ calledBack: true })), [
      { calledBack: true, later: true, connected: 0, workers: {} },
    ]);
    t.is(lines.filter(has({ on: 'cluster', event: 'exit' })).length, count);
    t.is(lines.filter(has({ listens: true })).length, Math.min(count, 1));
  });
}

// With workers, the built-in module may never call the callbacks after one that throws.
for (const workers of isBuiltin ? ['without a worker'] : ['without a worker', 'with a worker']) {
  test(`each callback of cluster.disconnect() is called, ${workers}, even if others throw`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/disconnect-callbacks', { args: [workers] });
    t.is(code, 0);
    t.deepEqual(lines, [{ uncaught: 'first' }, { uncaught: 'second' }, { called: 'third' }]);
  });
}

'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

/** Kills a worker, which does `worker`, at the event `on`; resolves to how it ends. */
async function kill(t, { worker, on = 'online', method = 'kill', signal, settings }) {
  const { lines, code } = await run(t, 'lifecycle/one-worker', {
    args: [{ worker, on, call: [method, signal].filter(Boolean), settings }],
  });
  t.is(code, 0);
  const events = lines.filter((line) => line.on === 'cluster').map(({ event }) => event);
  const exit = lines.find(({ on: emitter, event }) => emitter === 'cluster' && event === 'exit');
  return { events, exit, lines };
}

const immediate = { killMode: 'immediate' };

for (const method of ['kill', 'destroy']) {
  test(`a worker that calls ${method}() on itself exits with 0`, async (t) => {
    const { exit, lines } = await kill(t, { worker: ['call', method], on: null });
    t.like(exit, { args: [0, null], exitedAfterDisconnect: true });
    t.like(
      lines.find((line) => line.worker === method),
      {
        state: 'destroying',
        exitedAfterDisconnect: true,
        chained: false,
      },
    );
  });
}

for (const signal of [undefined, 'SIGTERM', 'SIGINT']) {
  test(`an immediate kill(${signal ?? ''}) sends the signal, and leaves exitedAfterDisconnect false`, async (t) => {
    const { exit } = await kill(t, { worker: ['stay'], signal, settings: immediate });
    t.like(exit, { args: [null, signal ?? 'SIGTERM'], exitedAfterDisconnect: false });
  });
}

test('an immediate kill ends a spinning worker', async (t) => {
  const { exit } = await kill(t, { worker: ['spin'], on: 'message', settings: immediate });
  t.deepEqual(exit.args, [null, 'SIGTERM']);
});

test('SIGKILL ends a spinning worker without delay', async (t) => {
  const { exit } = await kill(t, {
    worker: ['spin'],
    on: 'message',
    signal: 'SIGKILL',
    settings: { killTimeout: 60_000 }, // Longer than the watchdog would wait.
  });
  t.deepEqual(exit.args, [null, 'SIGKILL']);
});

test('kill() can be called on a dead worker', async (t) => {
  const { exit } = await kill(t, { worker: ['exit', 7], on: 'exit' });
  t.deepEqual(exit.args, [7, null]);
});

test('worker.process.kill only sends the signal', async (t) => {
  const { exit } = await kill(t, { worker: ['stay'], method: 'process.kill', signal: 'SIGTERM' });
  t.like(exit, { args: [null, 'SIGTERM'], exitedAfterDisconnect: false });
});

// Since 16.14, kill() of the built-in module is always immediate.
if (!isBuiltin) {
  test('a graceful kill, the default, disconnects the worker first', async (t) => {
    const { exit, events } = await kill(t, { worker: ['stay'] });
    t.like(exit, { args: [null, 'SIGTERM'], exitedAfterDisconnect: true });
    t.deepEqual(events.slice(-2), ['disconnect', 'exit']);
  });

  test('a graceful kill sends the given signal', async (t) => {
    const { exit } = await kill(t, { worker: ['stay'], signal: 'SIGINT' });
    t.like(exit, { args: [null, 'SIGINT'], exitedAfterDisconnect: true });
  });

  test('a graceful kill lets a listening worker end by itself', async (t) => {
    const { exit } = await kill(t, { worker: ['listen', 0], on: 'listening' });
    const [code, signal] = exit.args;
    // Once disconnected, the worker ends by itself, unless the signal is faster.
    t.true(code === 0 || signal === 'SIGTERM');
    t.true(exit.exitedAfterDisconnect);
  });

  test('a graceful kill signals a worker that spins after settings.killTimeout', async (t) => {
    const { exit } = await kill(t, {
      worker: ['spin'],
      on: 'message',
      settings: { killTimeout: 100 },
    });
    t.like(exit, { args: [null, 'SIGTERM'], exitedAfterDisconnect: true });
  });

  test('a graceful kill lets a worker finish a response', async (t) => {
    const app = await startApp(t, { workers: 1 });
    const answer = get(app.target, { path: '/hold' });
    await app.line({ server: 'holds', id: 1 });
    app.send({ do: 'kill', id: 1 });
    await app.line({ did: 'kill', id: 1 });
    app.tell(1, { do: 'release' });
    t.deepEqual(await answer, { id: 1, held: true });
    t.true((await app.line({ on: 'cluster', event: 'exit' })).exitedAfterDisconnect);
    await app.end();
  });

  test('a kill by SIGKILL sets exitedAfterDisconnect too', async (t) => {
    const { exit } = await kill(t, { worker: ['stay'], signal: 'SIGKILL' });
    t.like(exit, { args: [null, 'SIGKILL'], exitedAfterDisconnect: true });
  });
}

test("a worker that kills itself in a server's 'listening' event ends", async (t) => {
  const { lines, code } = await run(t, 'lifecycle/kill-in-listening');
  t.is(code, 0);
  t.deepEqual(lines, [{ code: 0, signal: null, exitedAfterDisconnect: true }]);
});

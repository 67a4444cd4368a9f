'use strict';

// How workers end when they are killed, or when their primary ends. helpers/fixture.js checks that none is
// left behind.

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');

async function runScenario(t, scenario, options) {
  const { lines, signal } = await run(t, 'lifecycle/worker-end', { ...options, args: [scenario] });
  return { lines, signal, exit: lines.find((line) => 'exitedAfterDisconnect' in line) };
}

test('a worker whose living primary closes its channel finishes what it does', async (t) => {
  const { lines } = await runScenario(t, 'is disconnected by its primary, and busy');
  t.deepEqual(lines, [
    { worker: 'has a result' },
    { worker: 'has saved' },
    { code: 0, signal: null, exitedAfterDisconnect: false },
  ]);
});

test("a worker that does not listen to 'disconnect' goes on after its channel closes", async (t) => {
  const { exit } = await runScenario(t, 'does not listen to disconnect');
  t.deepEqual(exit, { code: 3, signal: null, exitedAfterDisconnect: false });
});

test('a worker that has disconnected by itself may outlive its primary', async (t) => {
  // It does so for more than a second.
  const options = { goneWithin: 5_000 };
  const { lines } = await runScenario(t, 'has left before its primary ends', options);
  t.deepEqual(lines, [{ worker: 'has outlived its primary' }]);
});

// The built-in module sends the signal at once, whatever the settings are.
if (!isBuiltin) {
  for (const scenario of ['leaves by itself', 'is killed as it leaves']) {
    test(`a worker that ${scenario} gets no signal`, async (t) => {
      const { lines } = await runScenario(t, scenario);
      t.deepEqual(lines, [
        { worker: 'has saved' },
        { code: 0, signal: null, exitedAfterDisconnect: true },
      ]);
    });
  }

  for (const scenario of ['stays', 'has left, but stays,']) {
    test(`a worker that ${scenario} gets the signal long before killTimeout`, async (t) => {
      const { exit } = await runScenario(t, scenario);
      t.deepEqual(exit, { code: null, signal: 'SIGTERM', exitedAfterDisconnect: true });
    });
  }

  for (const scenario of ['gets a shorter killTimeout later', 'gets a longer killTimeout later']) {
    test(`a worker that ${scenario} gets the signal after the shorter time`, async (t) => {
      const { exit } = await runScenario(t, scenario);
      t.deepEqual(exit, { code: null, signal: 'SIGTERM', exitedAfterDisconnect: true });
    });
  }

  test('a worker that is killed as it disconnects finishes its responses', async (t) => {
    const app = await startApp(t, { workers: 1 });
    const answer = get(app.target, { path: '/hold' });
    await app.line({ server: 'holds', id: 1 });
    app.send({ do: 'disconnect', id: 1 });
    await app.line({ did: 'disconnect', id: 1 });
    app.send({ do: 'kill', id: 1 });
    await app.line({ did: 'kill', id: 1 });
    app.tell(1, { do: 'release' });
    t.deepEqual(await answer, { id: 1, held: true });
    await app.end();
  });
}

// With the built-in module, the worker already has the signal by then.
for (const scenario of ['its primary exits at once', 'its primary exits at once, and it spins']) {
  test(`a killed worker ends if ${scenario}`, async (t) => {
    const { lines } = await runScenario(t, scenario);
    t.deepEqual(lines, []);
  });
}

if (!isBuiltin) {
  test('a worker that ignores the signal ends when its primary is killed', async (t) => {
    const { signal } = await runScenario(t, 'its primary is killed');
    t.is(signal, 'SIGKILL');
  });
}

// Only root can start workers that it is not allowed to signal.
if (unprivileged?.uid !== undefined) {
  test('a kill() that the system refuses is an error, and does not disconnect', async (t) => {
    const { lines } = await runScenario(t, 'may not be signalled');
    t.deepEqual(lines, [
      { error: 'EPERM', syscall: 'kill' },
      { connected: true, exitedAfterDisconnect: 'undefined' },
      { answered: true },
      { code: null, signal: 'SIGKILL', exitedAfterDisconnect: false },
    ]);
  });
}

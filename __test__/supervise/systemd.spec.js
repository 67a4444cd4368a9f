'use strict';

const { serial: test } = require('ava');
const { brokenSource, BROKEN, serves } = require('../helpers/programs');
const { startServiceManager } = require('../helpers/service-manager');
const { startSupervised } = require('../helpers/supervised');

// In microseconds.
const WATCHDOG = 400_000;

/** What systemd puts into the environment of a service. */
const ENVIRONMENT = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'];

/** Starts a service: a supervised program whose primary has this service manager. */
function startService(t, manager, { env, ...how } = {}) {
  return startSupervised(t, { env: { NOTIFY_SOCKET: manager.name, ...env }, ...how });
}

const monotonic = (lines) =>
  BigInt(lines.find((line) => line.startsWith('MONOTONIC_USEC=')).split('=')[1]);

const microseconds = () => process.hrtime.bigint() / 1000n;

// Only Linux has abstract sockets.
for (const isAbstract of process.platform === 'linux' ? [false, true] : [false]) {
  const title = isAbstract ? 'an abstract socket' : 'a path';
  test(`the service manager hears of start, reload and stop at ${title}`, async (t) => {
    const manager = await startServiceManager(t, { isAbstract });
    const app = await startService(t, manager);
    t.deepEqual(await manager.next('STATUS=starting: 0 of 2 workers ready'), [
      'STATUS=starting: 0 of 2 workers ready',
      'EXTEND_TIMEOUT_USEC=35000000',
    ]);
    t.deepEqual(await manager.next('READY=1'), ['READY=1', 'STATUS=2 workers ready, generation 1']);
    const before = microseconds();
    app.deploy(serves('two'));
    await app.perform('reload');
    const reloading = await manager.next('RELOADING=1');
    const time = monotonic(reloading);
    t.true(time >= before && time <= microseconds());
    t.true(reloading.includes('STATUS=reloading: 0 of 2 workers replaced'));
    t.deepEqual(await manager.next('READY=1'), ['READY=1', 'STATUS=2 workers ready, generation 2']);
    await app.end();
    const stopping = await manager.next('STOPPING=1');
    t.true(stopping.some((line) => line.startsWith('STATUS=stopping: ')));
    // No longer than workers have, and at most so long at once.
    t.true(stopping.includes('EXTEND_TIMEOUT_USEC=35000000'));
  });
}

test('a reload that fails ends with READY and the reason', async (t) => {
  const manager = await startServiceManager(t);
  const app = await startService(t, manager);
  await manager.next('READY=1');
  app.deploy(brokenSource(BROKEN['exits at start']));
  await t.throwsAsync(app.perform('reload'));
  await manager.next('RELOADING=1');
  const [ready, status] = await manager.next('READY=1');
  t.is(ready, 'READY=1');
  t.regex(
    status,
    /^STATUS=2 workers ready, generation 1; reload failed: worker \d+ in slot \d exited with code 3$/,
  );
  app.deploy(serves('two'));
  await app.perform('reload');
  await manager.next('RELOADING=1');
  t.regex((await manager.next('READY=1'))[1], /^STATUS=2 workers ready, generation \d+$/);
  await app.end();
});

test('a reload for which there is no environment begins and ends at once', async (t) => {
  const manager = await startServiceManager(t);
  const app = await startService(t, manager, { options: { environment: 'throwsLater' } });
  await manager.next('READY=1');
  const error = await t.throwsAsync(app.perform('reload'));
  await manager.next('RELOADING=1');
  const [, status] = await manager.next('READY=1');
  t.is(status, `STATUS=2 workers ready, generation 1; reload failed: ${error.message}`);
  await app.end();
});

test('the time to stop is extended by what the drain may take', async (t) => {
  const manager = await startServiceManager(t);
  const options = { shutdownDelay: 1_000, drainTimeout: 2_000, killTimeout: 1_000 };
  const app = await startService(t, manager, { options });
  await app.end();
  const stopping = await manager.next('STOPPING=1');
  const extension = stopping.find((line) => line.startsWith('EXTEND_TIMEOUT_USEC='));
  const time = Number(extension.split('=')[1]);
  // The three times, the second in which a killed process ends, and 5 s.
  t.true(time > 9_900_000 && time <= 10_000_000, extension);
});

test('the watchdog hears of the engine while the JavaScript of the primary is stuck', async (t) => {
  const manager = await startServiceManager(t);
  const env = { WATCHDOG_USEC: `${WATCHDOG}` };
  const app = await startService(t, manager, { env });
  await manager.next('READY=1');
  let isBlocked = true;
  const blocked = app.perform('block', 3_000).finally(() => {
    isBlocked = false;
  });
  await app.line({ blocked: 'primary' });
  const { length } = manager.messages;
  while (manager.messages.length < length + 5) await manager.next('WATCHDOG=1');
  t.true(isBlocked);
  await blocked;
  await app.end();
});

test('the watchdog of another process is left alone', async (t) => {
  const manager = await startServiceManager(t);
  const env = { WATCHDOG_USEC: `${WATCHDOG}`, WATCHDOG_PID: '1' };
  const app = await startService(t, manager, { env });
  await manager.next('READY=1');
  await app.end();
  t.false(manager.messages.flat().includes('WATCHDOG=1'));
});

test('workers are not the service', async (t) => {
  const manager = await startServiceManager(t);
  const env = { WATCHDOG_USEC: `${WATCHDOG}` };
  const app = await startService(t, manager, { env });
  const { env: found } = await app.ask();
  for (const name of ENVIRONMENT) t.is(found[name], undefined);
  await app.end();
});

test('with systemd: false nothing is said, and the environment stays', async (t) => {
  const manager = await startServiceManager(t);
  const app = await startService(t, manager, { options: { systemd: false } });
  t.is((await app.ask()).env.NOTIFY_SOCKET, manager.name);
  await app.perform('reload');
  await app.end();
  t.deepEqual(manager.messages, []);
});

test('a service manager that is gone changes nothing', async (t) => {
  const manager = await startServiceManager(t);
  const app = await startService(t, manager, { env: { WATCHDOG_USEC: '20000' } });
  await manager.next('READY=1');
  await manager.end();
  t.is((await app.perform('reload')).generation, 2);
  await app.end();
});

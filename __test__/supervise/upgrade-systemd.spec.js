'use strict';

// What a service manager hears when one primary follows another.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { namespaceLauncher } = require('../helpers/namespace');
const { startPrimary } = require('../helpers/primaries');
const { startServiceManager } = require('../helpers/service-manager');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const LIMIT = 20_000;
// In microseconds.
const WATCHDOG = 400_000;

/** What keeps the session when the first primary ends. */
const launcher = ['sh', '-c', '"$@" & cat >/dev/null; wait', 'sh'];

async function startService(t, { env, ...how } = {}) {
  const manager = await startServiceManager(t);
  const app = await startPrimary(t, {
    launcher,
    env: { NOTIFY_SOCKET: manager.name, ...env },
    ...how,
  });
  await manager.next('READY=1');
  const [main] = app.primaries();
  return { manager, app, main };
}

async function stop(app, pid) {
  process.kill(pid, 'SIGTERM');
  await app.finish();
}

/** All lines so far. */
const linesOf = (manager) => manager.messages.flat();

// The built-in module does not supervise.
const linux = process.platform === 'linux' && !isBuiltin ? test : test.skip;

linux('each new primary becomes the main process, and the old one ends', async (t) => {
  const { manager, app, main } = await startService(t);
  let before = main;
  for (let generation = 2; generation <= 4; generation += 1) {
    const { pid } = await app.command('upgrade');
    t.deepEqual(await manager.next(/^MAINPID=/), [`MAINPID=${pid}`]);
    const ready = await manager.next('READY=1');
    t.deepEqual(ready, ['READY=1', `STATUS=1 worker ready, generation ${generation}`]);
    t.true(await becomesTrue(() => !isAlive(before), LIMIT));
    t.deepEqual(app.primaries(), [pid]);
    before = pid;
  }
  // The old ones have said nothing of their end.
  t.false(linesOf(manager).includes('STOPPING=1'));
  await stop(app, before);
  t.true(linesOf(manager).includes('STOPPING=1'));
});

linux(
  'the new primary says nothing before MAINPID, and the old one nothing after it',
  async (t) => {
    const env = { WATCHDOG_USEC: `${WATCHDOG}` };
    const { manager, app } = await startService(t, { env, args: ['--drain-timeout', '2s'] });
    const cut = app.ask({ path: '/never' }).catch(({ code }) => code);
    await app.untilStatus(({ slots }) => slots[0].open > 0);
    const { length } = manager.messages;
    const { pid } = await app.command('upgrade');
    await manager.next(`MAINPID=${pid}`);
    const index = manager.messages.findIndex(([line]) => line === `MAINPID=${pid}`);
    const words = manager.messages.slice(length, index).flat();
    t.deepEqual(
      words.filter((line) => /generation 2|READY/.test(line)),
      [],
    );
    t.is(await cut, 'ECONNRESET');
    await app.untilPrimaries(1);
    // The first word of the new one, with the sign of life.
    const [first] = manager.messages.slice(index + 1);
    t.deepEqual(first, ['READY=1', 'STATUS=1 worker ready, generation 2', 'WATCHDOG=1']);
    const after = manager.messages.slice(index + 2).flat();
    t.deepEqual(new Set(after), new Set(['WATCHDOG=1']));
    await stop(app, pid);
  },
);

linux('an upgrade that fails changes nothing for the service manager', async (t) => {
  const { manager, app, main } = await startService(t);
  const { code } = await app.attempt('upgrade', '--node', process.execPath, '--timeout', '0.001');
  t.is(code, 1);
  await app.untilPrimaries(1);
  t.deepEqual(
    linesOf(manager).filter((line) => line.startsWith('MAINPID=')),
    [],
  );
  await app.command('reload');
  await manager.next('RELOADING=1');
  await manager.next('READY=1');
  await stop(app, main);
});

linux('signals to the old primary that drains reach the new one', async (t) => {
  const { app, main } = await startService(t, { args: ['--drain-timeout', '60s'] });
  const cut = app.ask({ path: '/never' }).catch(({ code }) => code);
  await app.untilStatus(({ slots }) => slots[0].open > 0);
  const { pid } = await app.command('upgrade');
  process.kill(main, 'SIGHUP');
  await app.untilStatus(({ generation }) => generation === 3);
  process.kill(main, 'SIGQUIT');
  t.true(await becomesTrue(() => !isAlive(pid) && !isAlive(main), LIMIT));
  t.is(await cut, 'ECONNRESET');
  await app.finish();
});

linux(
  'process 1 stays though it has a service manager, which hears of no other process',
  async (t) => {
    const isolated = namespaceLauncher();
    if (isolated === undefined) return t.pass('this user may not make a namespace');
    const { manager, app } = await startService(t, { launcher: isolated });
    await app.command('upgrade');
    const ready = await manager.next('READY=1');
    t.deepEqual(ready, ['READY=1', 'STATUS=1 worker ready, generation 2']);
    await app.untilPrimaries(2);
    process.kill(Math.min(...app.primaries()), 'SIGTERM');
    t.is((await app.exited).code, 0);
    const lines = linesOf(manager);
    t.deepEqual(
      lines.filter((line) => line.startsWith('MAINPID=')),
      [],
    );
    t.is(lines.filter((line) => line === 'STOPPING=1').length, 1);
  },
);

linux('with --no-systemd the first primary stays', async (t) => {
  const env = { NOTIFY_SOCKET: '/nowhere' };
  const app = await startPrimary(t, { env, args: ['--no-systemd'] });
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  t.deepEqual(app.primaries().sort(), [app.pid, pid].sort());
  app.signal('SIGTERM');
  t.is((await app.exited).code, 0);
});

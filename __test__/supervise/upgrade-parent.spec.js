'use strict';

const { readFileSync, readdirSync } = require('node:fs');
const { serial: test } = require('ava');
const { hasScript, onTerminal } = require('../helpers/cli');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { namespaceLauncher } = require('../helpers/namespace');
const { startPrimary } = require('../helpers/primaries');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const LIMIT = 20_000;
const LONG = ['--drain-timeout', '60s'];

/** The children of a process that have ended, and are not reaped. */
function zombiesOf(parent) {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.parent === parent);
  return stats.filter(({ state }) => state === 'Z').map(({ pid }) => pid);
}

function statOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid: Number(pid), state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** A request that is never answered, so that its worker takes all of its time to drain. */
async function keepBusy(app) {
  const cut = app.ask({ path: '/never' }).catch(({ code }) => code);
  await app.untilStatus(({ slots }) => slots[0].open > 0);
  return { cut };
}

/** The pid of the primary of the worker that answers. */
async function serving(app) {
  const { pid } = await app.ask();
  return statOf(pid).parent;
}

// The built-in module does not supervise.
const linux = process.platform === 'linux' && !isBuiltin ? test : test.skip;

linux('after any number of upgrades the first primary and the last one are left', async (t) => {
  const app = await startPrimary(t);
  for (let count = 1; count <= 5; count += 1) {
    const { pid, generation } = await app.command('upgrade');
    t.is(generation, count + 1);
    t.is((await app.status()).pid, pid);
    await app.untilPrimaries(2);
    t.deepEqual(app.primaries().sort(), [app.pid, pid].sort());
    t.is(await serving(app), pid);
    // A process that ends has no command line any more a moment before its children get another parent.
    t.true(await becomesTrue(() => statOf(pid).parent === app.pid, LIMIT));
    t.true(await becomesTrue(() => zombiesOf(app.pid).length === 0, LIMIT));
  }
  app.signal('SIGTERM');
  // Fails if a process is left.
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
});

linux('signals to the parent reach the last primary', async (t) => {
  const app = await startPrimary(t);
  await app.command('upgrade');
  app.signal('SIGHUP');
  await app.untilStatus(({ generation }) => generation === 3);
  app.signal('SIGTTIN');
  await app.untilStatus(({ slots }) => slots.length === 2);
  app.signal('SIGTTOU');
  await app.untilStatus(({ slots }) => slots.length === 1);
  const { pid } = await app.status();
  app.signal('SIGUSR2');
  await app.untilStatus((status) => status.pid !== pid);
  await app.untilPrimaries(2);
  app.signal('SIGINT');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
});

linux('SIGTERM during the first upgrade stops the service, and no successor is left', async (t) => {
  const app = await startPrimary(t, { args: ['--min-uptime', '60s'] });
  const upgrade = app.attempt('upgrade');
  await app.untilPrimaries(2);
  app.signal('SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
  t.is((await upgrade).code, 1);
});

linux('SIGTERM to the parent during a later upgrade stops the service', async (t) => {
  // So that the signal comes before the commit.
  const app = await startPrimary(t, { args: ['--min-uptime', '2s'] });
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  const upgrade = app.attempt('upgrade');
  await app.untilPrimaries(3);
  app.signal('SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
  t.false(isAlive(pid));
  await upgrade;
});

linux('SIGTERM to the parent while its own workers drain stops the service', async (t) => {
  const app = await startPrimary(t, { args: ['--drain-timeout', '2s'] });
  const { cut } = await keepBusy(app);
  const { pid } = await app.command('upgrade');
  app.signal('SIGTERM');
  t.true(await becomesTrue(() => !isAlive(pid), LIMIT));
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
  t.is(await cut, 'ECONNRESET');
});

linux('SIGQUIT ends everything at once, workers that drain too', async (t) => {
  const app = await startPrimary(t, { args: LONG });
  const first = await keepBusy(app);
  await app.command('upgrade');
  const second = await keepBusy(app);
  await app.command('upgrade');
  app.signal('SIGQUIT');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [null, 'SIGQUIT']);
  t.deepEqual([await first.cut, await second.cut], ['ECONNRESET', 'ECONNRESET']);
});

linux('SIGQUIT during an upgrade ends the successor too', async (t) => {
  const app = await startPrimary(t, { args: ['--min-uptime', '60s'] });
  const upgrade = app.attempt('upgrade');
  await app.untilWritten(/upgrading[\s\S]* is ready /);
  app.signal('SIGQUIT');
  // Fails if a process is left.
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [null, 'SIGQUIT']);
  await upgrade;
});

linux('the parent ends by the signal that has ended the last primary', async (t) => {
  const app = await startPrimary(t);
  await app.command('upgrade');
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  process.kill(pid, 'SIGKILL');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [null, 'SIGKILL']);
});

linux('the parent ends with the exit code of the last primary', async (t) => {
  const app = await startPrimary(t, { args: ['--max-restarts', '0'] });
  await app.command('upgrade');
  await app.untilPrimaries(2);
  await app.ask({ path: '/exit' }).catch(() => {});
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [1, null]);
});

linux(
  'a program that handles signals, and ends when it has stopped, stops the last primary',
  async (t) => {
    const app = start(t, 'supervise/stays');
    await app.line({ pid: app.pid, event: 'upgrade' });
    const [, { pid }] = await app.linesLike({ event: 'ready' }, 2);
    app.signal('SIGTERM');
    const { code, signal, lines } = await app.exited;
    t.deepEqual([code, signal], [0, null]);
    const stopped = lines.filter(({ event }) => event === 'stopped').map((line) => line.pid);
    t.deepEqual(stopped, [pid, app.pid]);
  },
);

linux('a primary that is killed while its workers drain does not end the service', async (t) => {
  const app = await startPrimary(t, { args: LONG });
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  const { cut } = await keepBusy(app);
  const last = await app.command('upgrade');
  t.deepEqual(app.primaries().sort(), [app.pid, pid, last.pid].sort());
  process.kill(pid, 'SIGKILL');
  await app.untilPrimaries(2);
  t.is(await cut, 'ECONNRESET');
  t.is(await serving(app), last.pid);
  t.true(await becomesTrue(() => zombiesOf(app.pid).length === 0, LIMIT));
  app.signal('SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
});

linux('a successor serves whose predecessor is killed during an upgrade', async (t) => {
  const app = await startPrimary(t, { args: ['--min-uptime', '2s'] });
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  const upgrade = app.attempt('upgrade');
  await app.untilWritten(/(upgrading[\s\S]* is ready [\s\S]*){2}/);
  const [last] = app.primaries().filter((it) => it !== pid && it !== app.pid);
  process.kill(pid, 'SIGKILL');
  await app.untilPrimaries(2);
  await app.untilStatus((status) => status.pid === last && status.ready);
  t.is(await serving(app), last);
  await upgrade;
  app.signal('SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
  t.false(isAlive(last));
});

linux('the last primary goes on when the parent is killed', async (t) => {
  // What keeps the session.
  const launcher = ['sh', '-c', '"$@" & cat >/dev/null; wait', 'sh'];
  const app = await startPrimary(t, { launcher });
  const [parent] = app.primaries();
  const { pid } = await app.command('upgrade');
  await app.untilPrimaries(2);
  process.kill(parent, 'SIGKILL');
  t.true(await becomesTrue(() => !isAlive(parent), LIMIT));
  t.is(await serving(app), pid);
  const next = await app.command('upgrade');
  await app.untilPrimaries(1);
  t.is(await serving(app), next.pid);
  process.kill(next.pid, 'SIGTERM');
  await app.finish();
});

linux('as process 1 the parent stays, reaps, and ends with the code of the signal', async (t) => {
  const launcher = namespaceLauncher();
  if (launcher === undefined) return t.pass('this user may not make a namespace');
  const app = await startPrimary(t, { launcher });
  for (let count = 0; count < 2; count += 1) {
    await app.command('upgrade');
    await app.untilPrimaries(2);
  }
  const first = Math.min(...app.primaries());
  t.true(await becomesTrue(() => zombiesOf(first).length === 0, LIMIT));
  process.kill(Math.max(...app.primaries()), 'SIGKILL');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [128 + 9, null]);
});

linux('as process 1 the parent ends with 0 after SIGTERM', async (t) => {
  const launcher = namespaceLauncher();
  if (launcher === undefined) return t.pass('this user may not make a namespace');
  const app = await startPrimary(t, { launcher });
  await app.command('upgrade');
  await app.untilPrimaries(2);
  process.kill(Math.min(...app.primaries()), 'SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
});

if (hasScript) {
  linux('Ctrl-C stops the service, though only the parent gets the signal', async (t) => {
    const app = await startPrimary(t, { launcher: onTerminal() });
    const { pid } = await app.command('upgrade');
    app.write('\x03');
    const { code } = await app.exited;
    t.is(code, 0);
    t.false(isAlive(pid));
  });

  linux('a second Ctrl-C ends everything at once', async (t) => {
    const app = await startPrimary(t, { launcher: onTerminal(), args: LONG });
    const first = await keepBusy(app);
    const { pid } = await app.command('upgrade');
    const second = await keepBusy(app);
    app.write('\x03');
    await app.untilWritten(/stopping[\s\S]*drains \(stop\)/);
    const begin = Date.now();
    t.true(await becomesTrue(() => Date.now() > begin + 600, LIMIT));
    app.write('\x03');
    const { code } = await app.exited;
    t.is(code, 128 + 2);
    t.false(isAlive(pid));
    t.deepEqual([await first.cut, await second.cut], ['ECONNRESET', 'ECONNRESET']);
  });

  linux('a terminal that is closed stops the service', async (t) => {
    const app = await startPrimary(t, { launcher: onTerminal() });
    const parent = statOf(statOf((await app.ask()).pid).parent).pid;
    const { pid } = await app.command('upgrade');
    app.signal('SIGKILL');
    await app.exited.catch(() => {});
    t.true(await becomesTrue(() => !isAlive(pid) && !isAlive(parent), LIMIT));
  });
}

'use strict';

const { readdirSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAlive } = require('../../tools/process-group');

/** A program that has a request which is never answered, so that it takes all of its time to stop. */
async function startBusy(t, options, env) {
  const app = await startSupervised(t, { options, env });
  app.unanswered = app.ask({ path: '/never' }).catch(({ code }) => code);
  await app.line({ message: 'begun' });
  return app;
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('SIGHUP reloads', async (t) => {
    const app = await startSupervised(t);
    app.deploy(serves('two'));
    app.signal('SIGHUP');
    await app.line({ on: 'supervisor', event: 'reload' });
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  test('a reload by SIGHUP that fails is reported, and changes nothing', async (t) => {
    const app = await startSupervised(t, { warns: true });
    const pids = await app.pids();
    app.deploy("console.error('no database'); process.exit(3);");
    app.signal('SIGHUP');
    const { slots } = await app.statusWhen(
      ({ state, totals }) => totals.reloadsFailed === 1 && state === 'ready',
    );
    t.deepEqual(
      slots.map(({ pid }) => pid),
      pids,
    );
    await app.end();
    t.regex(app.stderr, /no database/);
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} stops, and the program ends with 0`, async (t) => {
      const app = await startSupervised(t);
      app.signal(signal);
      await app.line({ on: 'supervisor', event: 'stopped' });
      t.is(app.seen({ on: 'cluster', event: 'exit', exitedAfterDisconnect: true }).length, 2);
      const { code, signal: by } = await app.finish();
      t.deepEqual([code, by], [0, null]);
    });
  }

  test('a program whose output is closed ends with 0 too, whatever it writes at its end', async (t) => {
    const app = await startSupervised(t, { options: { killTimeout: 300 } });
    app.closeOutputs();
    app.signal('SIGTERM');
    const { code, signal } = await app.exited;
    t.deepEqual([code, signal], [0, null]);
  });

  test('a second SIGTERM changes nothing', async (t) => {
    const app = await startBusy(t, { drainTimeout: 1_500 });
    const begin = Date.now();
    app.signal('SIGTERM');
    await app.line({ on: 'supervisor', event: 'draining' });
    app.signal('SIGTERM');
    const { code } = await app.finish();
    t.is(code, 0);
    t.true(Date.now() - begin >= 1_500);
    t.is(app.events('cut').length, 1);
    t.is(await app.unanswered, 'ECONNRESET');
  });

  test('a second SIGINT, half a second after the first, ends everything at once', async (t) => {
    const app = await startBusy(t, { drainTimeout: 60_000 });
    const pids = await app.pids();
    app.signal('SIGINT');
    const { at } = await app.line({ on: 'supervisor', event: 'draining' });
    // Ctrl-C may be repeated by a terminal, or by a shell and a package manager.
    app.signal('SIGINT');
    app.signal('SIGINT');
    await app.statusWhen(() => Date.now() > at + 700);
    t.true(pids.some(isAlive));
    app.signal('SIGINT');
    const { code, signal } = await app.exited;
    t.deepEqual([code, signal], [null, 'SIGINT']);
    t.false(pids.some(isAlive));
    await app.unanswered;
  });

  test('SIGQUIT ends everything at once, and leaves no files', async (t) => {
    const TMPDIR = temporaryDirectory(t);
    const env = { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: '', TMPDIR };
    const app = await startBusy(t, { drainTimeout: 60_000 }, env);
    const folder = `rs-cluster-${process.getuid()}`;
    t.is(readdirSync(TMPDIR).length, 2);
    const pids = await app.pids();
    app.signal('SIGQUIT');
    const { code, signal } = await app.exited;
    t.deepEqual([code, signal], [null, 'SIGQUIT']);
    t.false(pids.some(isAlive));
    // The directory of control sockets stays.
    t.deepEqual(readdirSync(TMPDIR), [folder]);
    t.deepEqual(readdirSync(path.join(TMPDIR, folder)), []);
    await app.unanswered;
  });

  test('without a terminal SIGTTIN starts a worker more, and SIGTTOU ends one', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 50 } });
    app.signal('SIGTTIN');
    await app.statusWhen(({ slots }) => slots.length === 3);
    await app.untilSettled();
    app.signal('SIGTTOU');
    await app.statusWhen(({ slots }) => slots.length === 2);
    app.signal('SIGTTOU');
    await app.statusWhen(({ slots }) => slots.length === 1);
    app.signal('SIGTTOU');
    // The last worker stays.
    app.signal('SIGHUP');
    await app.line({ on: 'supervisor', event: 'reload' });
    t.is((await app.untilSettled()).slots.length, 1);
    await app.end();
  });

  test('with signals: false they are left to the program', async (t) => {
    const app = await startSupervised(t, { options: { signals: false } });
    app.signal('SIGTERM');
    const { signal } = await app.exited;
    t.is(signal, 'SIGTERM');
    t.deepEqual(app.events('draining'), []);
  });
}

'use strict';

const { spawnSync } = require('node:child_process');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const hasScript = spawnSync('script', ['--version']).status === 0;

/** Starts the program with a terminal of its own; `app.primary` is the pid of the primary. */
async function startOnTerminal(t, options) {
  const app = await startSupervised(t, {
    ...options,
    launcher: [
      'sh',
      '-c',
      `command="stty -echo; exec"; for it; do command="$command '$it'"; done; exec script -qec "$command" /dev/null`,
      'sh',
    ],
  });
  app.primary = (await app.perform('identity')).pid;
  return app;
}

// The built-in module does not supervise.
if (!isBuiltin && hasScript) {
  test('with a terminal SIGHUP stops', async (t) => {
    const app = await startOnTerminal(t);
    process.kill(app.primary, 'SIGHUP');
    await app.line({ on: 'supervisor', event: 'stopped' });
    t.deepEqual(app.events('reload'), []);
    t.is((await app.finish()).code, 0);
    t.false(isAlive(app.primary));
  });

  test('with a terminal SIGTTIN and SIGTTOU change nothing', async (t) => {
    const app = await startOnTerminal(t);
    process.kill(app.primary, 'SIGTTIN');
    process.kill(app.primary, 'SIGTTOU');
    await app.perform('reload');
    t.is((await app.status()).slots.length, 2);
    t.is(app.started(), 4);
    process.kill(app.primary, 'SIGTERM');
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('Ctrl-C goes to the primary alone, which stops its workers', async (t) => {
    const app = await startOnTerminal(t);
    app.write('\x03');
    await app.line({ on: 'supervisor', event: 'stopped' });
    t.is(app.seen({ on: 'cluster', event: 'exit', exitedAfterDisconnect: true }).length, 2);
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('a terminal that is closed stops the program', async (t) => {
    const app = await startOnTerminal(t);
    app.signal('SIGKILL');
    await app.exited.catch(() => {});
    const { primary } = app;
    t.true(await becomesTrue(() => !isAlive(primary), 10_000));
  });
}

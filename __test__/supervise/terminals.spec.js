'use strict';

const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const hasScript = spawnSync('script', ['--version']).status === 0;

/**
 * Starts the program with a terminal of its own; `app.primary` is the pid of the primary. Its exit code is written to
 * `codeFile`, if there is one.
 */
async function startOnTerminal(t, { codeFile, ...options } = {}) {
  const first = codeFile === undefined ? 'exec' : 'trap : HUP;';
  const last = codeFile === undefined ? '' : `; echo \\$? > '${codeFile}'`;
  const app = await startSupervised(t, {
    ...options,
    launcher: [
      'sh',
      '-c',
      `command="stty -echo; ${first}"; for it; do command="$command '$it'"; done; exec script -qec "$command${last}" /dev/null`,
      'sh',
    ],
  });
  app.primary = (await app.perform('identity')).pid;
  return app;
}

function codeIn(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
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
    const codeFile = path.join(temporaryDirectory(t), 'code');
    const app = await startOnTerminal(t, { codeFile });
    app.signal('SIGKILL');
    await app.exited.catch(() => {});
    const { primary } = app;
    t.true(await becomesTrue(() => !isAlive(primary), 10_000));
    t.true(await becomesTrue(() => codeIn(codeFile) !== '', 10_000));
    t.is(codeIn(codeFile), '0');
  });
}

'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createInterface } = require('node:readline');
const test = require('ava');
const { environment, fixturePath, run } = require('../helpers/fixture');
const { execPath, isBuiltin, specifier } = require('../helpers/implementation');
const { afterTimeLimit } = require('../../tools/time-limit');

const WATCHDOG = 30_000;
const KIB = 1024;
// More than other pipes hold; elsewhere that of a worker is like these.
const FITTING = (process.platform === 'linux' ? 100 : 32) * KIB;

function assertComplete(t, stderr, length) {
  t.is(/^x+$/m.exec(stderr)?.[0].length, length);
  t.regex(stderr, /^x+\n[\s\S]*Error: no database\n[\s\S]*Node\.js v[\d.]+\n$/);
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('all that a worker writes before it crashes reaches the stderr of its primary', async (t) => {
    const { code, stderr, lines } = await run(t, 'supervise/crash', { args: [FITTING, false] });
    t.is(code, 1);
    assertComplete(t, stderr, FITTING);
    const [{ kept }] = lines;
    t.is(kept.length, 4 * KIB);
    t.true(stderr.endsWith(kept));
  });
}

// More than the stderr of the primary holds, and less than that and the pipe of a worker hold.
const MUCH = 400 * KIB;

/** Runs the primary of a worker that writes so much, and calls back when the primary exits; resolves to when it began to. */
async function runBlocked(onExiting) {
  const args = [fixturePath('supervise/crash'), MUCH, true];
  const stdio = ['ignore', 'pipe', 'pipe'];
  const env = { ...environment(), CLUSTER: specifier };
  const primary = spawn(execPath, args, { env, stdio });
  const inTime = afterTimeLimit(WATCHDOG, () => primary.kill('SIGKILL'));
  const exited = once(primary, 'exit');
  const lines = createInterface({ input: primary.stdout });
  let began;
  for await (const line of lines) {
    [, began] = /^exiting (\d+)$/.exec(line) ?? [];
    if (began) break;
  }
  onExiting(primary);
  await exited;
  inTime();
  return { stderr: primary.stderr, began: Number(began) };
}

// Elsewhere pipes hold less, so the worker would wait, and the primary could not exit.
if (!isBuiltin && process.platform === 'linux') {
  test('a primary that exits writes what workers have written although its stderr is full', async (t) => {
    const texts = [];
    const { stderr } = await runBlocked(({ stderr }) => stderr.on('data', (it) => texts.push(it)));
    if (!stderr.closed) await once(stderr, 'close');
    assertComplete(t, Buffer.concat(texts).toString(), MUCH);
  });

  test('a primary that exits waits a second for a stderr that is full', async (t) => {
    const { stderr, began } = await runBlocked(() => {});
    t.true(Date.now() - began > 900);
    stderr.destroy();
  });
}

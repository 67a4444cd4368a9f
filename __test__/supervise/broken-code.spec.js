'use strict';

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, brokenSource, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

const OPTIONS = {
  // Longer than it takes to start a worker on a busy machine, if it is not about to fail by a timeout.
  readyTimeout: 20_000,
  minUptime: 2_000,
  execArgv: ['--max-old-space-size=32'],
};

const optionsFor = ({ isTooLate }) => ({ ...OPTIONS, ...(isTooLate && { readyTimeout: 3_000 }) });

function assertDescribes(t, error, { phases, stderr, exitCode, signal, isTooLate }, app) {
  t.true(phases.includes(error.phase), `${error.phase}`);
  const { id } = app.seen({ on: 'cluster', event: 'fork' }).at(-1);
  t.is(error.worker, id);
  t.true(error.stderr.includes(stderr), error.stderr);
  t.true(error.stderr.length <= 4096);
  for (const part of [`worker ${id}`, error.phase, stderr])
    t.true(error.message.includes(part), part);
  if (isTooLate) return;
  t.is(error.exitCode, exitCode);
  t.is(error.signal, signal);
}

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const [title, broken] of Object.entries(BROKEN)) {
    test(`a reload to code that ${title} changes nothing`, async (t) => {
      const app = await startSupervised(t, {
        options: optionsFor(broken),
        crashes: broken.signal !== undefined,
      });
      const pids = await app.pids();
      app.deploy(brokenSource(broken));
      const error = await t.throwsAsync(app.perform('reload'));
      assertDescribes(t, error, broken, app);
      t.is(app.started(), 3, 'only the canary has been started');
      const status = await app.untilSettled();
      t.like(status, { state: 'ready', generation: 1 });
      t.deepEqual(
        status.slots.map(({ pid }) => pid),
        pids,
      );
      t.deepEqual(new Set(await app.versions()), new Set(['one']));
      // Correct code works afterwards.
      app.deploy(serves('two'));
      await app.perform('reload');
      t.deepEqual(new Set(await app.versions()), new Set(['two']));
      await app.end();
    });
  }

  test('workers that are replaced after a failed reload run the old program, environment and arguments', async (t) => {
    const app = await startSupervised(t, { options: OPTIONS });
    const [pid] = await app.pids();
    app.deploy(BROKEN['exits at start'].source);
    await t.throwsAsync(app.perform('reload', { env: { ANSWER: '42' } }));
    app.deploy(serves('one'));
    process.kill(pid, 'SIGKILL');
    await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    await app.untilSettled();
    for (let i = 0; i < 4; i += 1) t.is((await app.ask()).env.ANSWER, undefined);
    await app.end();
  });

  test('slots that have been replaced get workers of the old program when a later worker fails', async (t) => {
    const app = await startSupervised(t, { options: { workers: 4, environment: 'counts' } });
    // The third worker of the new code fails: ids 1 to 4 are of the old one.
    const fails = `
if (require(process.env.CLUSTER).worker.id === 7) {
  console.error('the third one');
  process.exit(9);
}`;
    app.deploy(serves('two', { before: `if (process.env.CALLS === '2') {${fails}}` }));
    const error = await t.throwsAsync(app.perform('reload'));
    t.like(error, { worker: 7, exitCode: 9, slot: 2 });
    t.true(['start', 'ready'].includes(error.phase));
    t.true(error.stderr.includes('the third one'));
    const { generation, slots } = await app.untilSettled();
    t.is(generation, 1);
    t.is(slots.length, 4);
    // The workers of the old recipe read the new file, which is why the environment tells them apart.
    for (let i = 0; i < 8; i += 1) t.is((await app.ask()).env.CALLS, '1');
    t.is(app.events('replace', { reason: 'rollback' }).length, 2);
    await app.end();
  });

  test('the error has the last 4 KiB of what the worker has written', async (t) => {
    const app = await startSupervised(t, { options: OPTIONS });
    app.deploy(`
const { writeSync } = require('node:fs');
writeSync(2, 'beginning' + 'x'.repeat(10_000) + 'end');
process.exit(1);
`);
    const { stderr } = await t.throwsAsync(app.perform('reload'));
    t.is(stderr.length, 4096);
    t.regex(stderr, /^x+end$/);
    await app.end();
  });
}

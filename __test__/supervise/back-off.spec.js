'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue } = require('../../tools/process-group');

const EXITS = BROKEN['exits at start'].source;
// The defaults, divided by this: 100 ms, 15 s and a minute.
const RATIO = Number(process.env.CRASH_LOOP_RATIO ?? 20);
const MINUTE = 60_000 / RATIO;
const MOST_STARTS = 20;
const FEWEST_STARTS = 5;
/** How much of a processor the primary may use. */
const MOST_CPU = 0.01;

/** Lets the worker of a slot end, and all that replace it. */
async function breakSlot(app, slot) {
  app.deploy(EXITS);
  process.kill((await app.pids())[slot], 'SIGKILL');
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('a slot whose workers end at once gets at most 20 starts a minute', async (t) => {
    t.timeout(60_000 + 2 * MINUTE);
    const options = { restartDelay: 100 / RATIO, maxRestartDelay: 15_000 / RATIO };
    const how = { waits: false, timeout: 60_000 + 2 * MINUTE };
    const app = await startSupervised(t, { program: EXITS, options, ...how });
    const { at: begin } = await app.line({ on: 'cluster', event: 'fork' });
    const inTime = ({ at }) => at < begin + MINUTE;
    const starts = () => app.seen({ on: 'cluster', event: 'fork' });
    const areEnough = becomesTrue(() => starts().length >= 2 * FEWEST_STARTS, MINUTE);
    const cpu = await app.perform('measure', MINUTE);
    t.true(cpu <= MOST_CPU * RATIO, `${cpu}`);
    const perSlot = starts().filter(inTime).length / 2;
    t.true(perSlot <= MOST_STARTS, `${perSlot}`);
    t.true(await areEnough, `${starts().length}`);
    t.is((await app.status()).state, 'starting');
    await app.end();
  });

  test('each failure makes the next delay half as long again, up to maxRestartDelay', async (t) => {
    const options = { restartDelay: 20, maxRestartDelay: 100, workers: 2 };
    const app = await startSupervised(t, { options });
    await breakSlot(app, 1);
    const lines = await app.linesLike({ on: 'supervisor', event: 'backoff' }, 7);
    t.deepEqual(
      lines.map(({ slot, failures }) => [slot, failures]),
      [1, 2, 3, 4, 5, 6, 7].map((failures) => [1, failures]),
    );
    for (const { delay, failures } of lines) {
      const expected = Math.min(20 * 1.5 ** (failures - 1), 100);
      t.true(delay >= expected * 0.8 - 1 && delay <= expected * 1.2 + 1, `${failures}: ${delay}`);
    }
    const { slots, state } = await app.statusWhen((it) => it.slots[1].state === 'waiting');
    t.is(state, 'ready');
    t.is(slots[0].state, 'ready');
    t.true(slots[1].nextStart <= 120 && slots[1].failures >= 7);
    app.deploy(serves('one'));
    await app.untilSettled();
    await app.end();
  });

  test('a slot that has had maxRestarts restarts stays empty, until it is restarted', async (t) => {
    const app = await startSupervised(t, { options: { maxRestarts: 2, restartDelay: 10 } });
    const [pid] = await app.pids();
    await breakSlot(app, 1);
    const { slots, state } = await app.statusWhen((it) => it.slots[1].state === 'failed');
    t.is(slots[0].pid, pid);
    t.is(state, 'ready');
    // The status may be known before the events.
    await app.linesLike({ on: 'cluster', event: 'fork' }, 4);
    t.is(app.started(), 4);
    app.deploy(serves('one'));
    await app.perform('restart', 1);
    await app.untilSettled();
    await app.end();
  });

  test('a reload fills slots that have failed', async (t) => {
    const app = await startSupervised(t, { options: { maxRestarts: 1, restartDelay: 10 } });
    await breakSlot(app, 0);
    await app.statusWhen((it) => it.slots[0].state === 'failed');
    app.deploy(serves('two'));
    await app.perform('reload');
    await app.untilSettled();
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  test('restarts are counted within a time, if one is given', async (t) => {
    const within = 150;
    const options = { maxRestarts: { count: 1, within }, restartDelay: 200, maxRestartDelay: 200 };
    const app = await startSupervised(t, { options });
    await breakSlot(app, 1);
    await app.linesLike({ on: 'supervisor', event: 'backoff' }, 5);
    t.not((await app.status()).slots[1].state, 'failed');
    await app.end();
  });

  test('a supervisor whose slots have all failed has failed, and its program ends with 1', async (t) => {
    const options = { maxRestarts: 1, restartDelay: 10 };
    const app = await startSupervised(t, { program: EXITS, options, waits: false });
    const ready = t.throwsAsync(app.perform('ready'));
    const { reason } = await app.line({ on: 'supervisor', event: 'failed' });
    t.true(reason.length > 0);
    t.is((await ready).stderr?.includes('no database'), true);
    t.is(app.started(), 4);
    const { code, stderr } = await app.finish();
    t.is(code, 1);
    t.is(stderr.match(/no database/g).length, 4);
  });

  test('a program whose primary does nothing else ends with 1 when its supervisor has failed', async (t) => {
    const options = { maxRestarts: 0 };
    const app = await startSupervised(t, { program: EXITS, options, waits: false });
    await app.line({ on: 'supervisor', event: 'failed' });
    t.is(app.started(), 2);
    const { code } = await app.finish();
    t.is(code, 1);
  });

  test('a supervisor that has failed recovers by a reload, which keeps the primary running', async (t) => {
    const { lines, code } = await run(t, 'supervise/failed');
    t.deepEqual(lines, [
      { code: 'ERR_RS_CLUSTER_FAILED' },
      { generation: 2, state: 'ready', exitCode: 0 },
    ]);
    t.is(code, 0);
  });

  test('workers that kill(), disconnect() or drain() end are replaced at once, without back-off', async (t) => {
    const options = { restartDelay: 15_000, maxRestarts: 0 };
    const app = await startSupervised(t, { options });
    const ways = [
      ['kill', 1],
      ['disconnect', 2],
      ['drain', 3],
      ['kill', 4, 'SIGKILL'],
    ];
    for (const [index, [how, id, ...rest]] of ways.entries()) {
      await app.perform(how, id, ...rest);
      await app.linesLike({ on: 'supervisor', event: 'replace', reason: 'ended' }, index + 1);
      await app.untilSettled();
    }
    t.deepEqual(app.events('backoff'), []);
    t.is(app.started(), 6);
    await app.end();
  });
}

'use strict';

const { readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue } = require('../../tools/process-group');

// How long the event loop of the primary is blocked, in ms.
const BLOCKED = 20_000;
const DRAIN_TIMEOUT = 2_000;

/** Resolves to the pids that answer on new connections, as soon as there are so many others than before. */
async function untilOthersAnswer(app, before, count) {
  const others = new Set();
  const areThere = async () => {
    const { pid } = await app.ask();
    if (!before.includes(pid)) others.add(pid);
    return others.size === count;
  };
  if (!(await becomesTrue(areThere, BLOCKED / 2))) throw new Error(`only ${others.size} others`);
  return [...others];
}

/** The kinds of the events of a worker, in order. */
const eventsOf = (app, id) => app.seen({ on: 'cluster', id }).map(({ event }) => event);

// The built-in module does not supervise.
if (!isBuiltin) {
  test('workers are replaced, drained and killed while the JavaScript of the primary is blocked', async (t) => {
    const options = {
      workers: 4,
      drainTimeout: DRAIN_TIMEOUT,
      hungTimeout: 1_500,
      restartDelay: 50,
      minUptime: 50,
    };
    const app = await startSupervised(t, { options });
    const before = await app.pids();
    const { ends: cut, open } = await app.beginEverywhere();
    // The worker of slot 3 drains, until the deadline, because it has at least one of the requests.
    await app.perform('scale', 3);
    const unblocked = app.perform('block', BLOCKED);
    await app.line({ blocked: 'primary' });
    const begin = Date.now();

    process.kill(before[0], 'SIGKILL');
    const [crashed] = await untilOthersAnswer(app, before, 1);
    const ended = await Promise.race(cut.map(async (it, index) => [await it, index]));
    t.is(ended[0], 'ECONNRESET');
    process.kill(before[1], 'SIGSTOP');
    const [hung] = await untilOthersAnswer(app, [...before, crashed], 1);
    t.true(Date.now() - begin < BLOCKED - 2_000, 'all of it was while it was blocked');
    t.is(app.seen({ on: 'cluster', event: 'exit' }).length, 0, 'no JavaScript has run');

    await unblocked;
    await app.statusWhen(({ draining }) => draining.length === 0);
    t.deepEqual(
      (await app.pids()).map((pid) => before.indexOf(pid)),
      [-1, -1, 2],
    );
    t.like(await app.line({ on: 'supervisor', event: 'cut', worker: 4 }), {
      connections: open[3],
    });
    t.like(await app.line({ on: 'supervisor', event: 'hung' }), { worker: 2 });
    const exits = app.seen({ on: 'cluster', event: 'exit' });
    t.deepEqual(exits.map(({ id }) => id).sort(), [1, 2, 4]);
    for (const [id, pid] of [
      [5, crashed],
      [6, hung],
    ]) {
      await app.line({ on: 'cluster', event: 'listening', id });
      t.deepEqual(eventsOf(app, id), ['fork', 'online', 'listening']);
      t.is(app.seen({ on: 'cluster', event: 'fork', id })[0].pid, pid);
    }
    t.like(app.events('replace', { reason: 'crash' }), [{ slot: 0, from: 1, to: 5 }]);
    t.like(app.events('replace', { reason: 'hung' }), [{ slot: 1, from: 2, to: 6 }]);
    const { list } = await app.perform('workers');
    t.deepEqual(
      list.map(({ id }) => id),
      [3, 5, 6],
    );
    // They are workers like others.
    await app.perform('kill', 5);
    await app.line({ on: 'supervisor', event: 'replace', reason: 'ended' });
    await app.end();
  });

  test('a worker that starts and ends while the primary is blocked is reported, in order', async (t) => {
    const options = { workers: 1, restartDelay: 10, minUptime: 50 };
    const app = await startSupervised(t, { options });
    const [pid] = await app.pids();
    const starts = path.join(app.directory, 'starts');
    writeFileSync(starts, '');
    app.deploy("require('node:fs').appendFileSync('starts', '.');\nprocess.exit(3);");
    const unblocked = app.perform('block', BLOCKED / 4);
    await app.line({ blocked: 'primary' });
    process.kill(pid, 'SIGKILL');
    t.true(await becomesTrue(() => readFileSync(starts).length >= 3, BLOCKED / 4));
    app.deploy(serves('two'));
    await unblocked;
    // The status is that of the engine, and may be known before the events.
    const { to: last } = await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    t.true(last > 2, `${last}`);
    for (let id = 2; id < last; id += 1) {
      t.deepEqual(
        eventsOf(app, id).filter((event) => event !== 'online'),
        ['fork', 'disconnect', 'exit'],
      );
    }
    t.deepEqual(
      (await app.perform('workers')).list.map(({ id }) => id),
      [last],
    );
    await app.end();
  });
}

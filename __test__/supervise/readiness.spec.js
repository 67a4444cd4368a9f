'use strict';

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { serves, worksWithoutServers } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

// The built-in module does not supervise.
if (!isBuiltin) {
  test('workers are ready when they listen', async (t) => {
    const app = await startSupervised(t, { options: { workers: 3 } });
    t.is(app.seen({ supervised: true })[0].state, 'starting');
    const { state, generation, slots, draining } = await app.status();
    t.like({ state, generation, draining }, { state: 'ready', generation: 1, draining: [] });
    t.deepEqual(
      slots.map(({ slot, state }) => [slot, state]),
      [0, 1, 2].map((slot) => [slot, 'ready']),
    );
    t.deepEqual(await app.perform('state'), { state: 'ready', generation: 1 });
    await app.perform('ready');
    const { list } = await app.perform('workers');
    t.deepEqual(
      list.map(({ pid }) => pid),
      await app.pids(),
    );
    t.is((await app.ask()).version, 'one');
    await app.end();
  });

  const WAYS = {
    'cluster.worker.ready()': 'setImmediate(() => cluster.worker.ready());',
    "process.send('ready')": "setImmediate(() => process.send('ready'));",
  };
  for (const [way, says] of Object.entries(WAYS)) {
    test(`a program without servers is ready when it calls ${way}`, async (t) => {
      const program = worksWithoutServers(says);
      const app = await startSupervised(t, { program, options: { readyWhen: 'ready' } });
      t.is((await app.status()).state, 'ready');
      await app.perform('reload');
      t.is((await app.perform('state')).generation, 2);
      await app.end();
    });
  }

  test("workers that listen get no connections before they say 'ready', if they have to", async (t) => {
    const says = "process.on('message', () => process.send('ready'));";
    const program = serves('one', { ready: says });
    const app = await startSupervised(t, {
      program,
      options: { readyWhen: 'ready', workers: 2 },
      waits: false,
    });
    await app.linesLike({ on: 'cluster', event: 'listening' }, 2);
    const answer = app.ask();
    const { state, slots } = await app.status();
    t.is(state, 'starting');
    t.deepEqual(
      slots.map(({ state: it }) => it),
      ['starting', 'starting'],
    );
    await app.perform('tell', 2, 'go');
    const status = await app.statusWhen((it) => it.slots.some(({ state: it }) => it === 'ready'));
    const { pid } = status.slots.find(({ state: it }) => it === 'ready');
    t.is((await answer).pid, pid);
    t.deepEqual(new Set([(await app.ask()).pid, (await app.ask()).pid]), new Set([pid]));
    t.is(app.events('ready').length, 0);
    await app.perform('tell', 1, 'go');
    await app.line({ on: 'supervisor', event: 'ready' });
    await app.end();
  });

  test("the error of a program without servers says that it needs 'ready'", async (t) => {
    const app = await startSupervised(t, {
      program: worksWithoutServers(),
      options: { workers: 1, readyTimeout: 500, maxRestarts: 0 },
      waits: false,
    });
    const error = await t.throwsAsync(app.perform('ready'));
    t.regex(error.message, /readyWhen: 'ready'/);
    t.like(error, { phase: 'ready', worker: 1, slot: 0 });
    t.is((await app.finish()).code, 1);
  });

  test('code that does not listen on an address of the old one does not become ready', async (t) => {
    const other = "http.createServer().listen({ path: '\\0rs-cluster-' + process.argv[2] });";
    const app = await startSupervised(t, {
      program: serves('one', { before: other }),
      options: { readyTimeout: 3_000 },
      // The first workers, too, may take longer than that on a busy machine.
      warns: true,
    });
    const pids = await app.pids();
    app.deploy(serves('two'));
    const error = await t.throwsAsync(app.perform('reload'));
    t.is(error.phase, 'ready');
    t.regex(error.message, /rs-cluster-\d+/);
    t.deepEqual(await app.pids(), pids);
    app.deploy(serves('three', { before: other }));
    await app.perform('reload');
    t.deepEqual(new Set(await app.versions()), new Set(['three']));
    await app.end();
  });

  test('code that listens on one address more is ready when it listens on the old ones', async (t) => {
    const app = await startSupervised(t);
    app.deploy(
      serves('two', { ready: "http.createServer().listen('\\0more-' + process.argv[2]);" }),
    );
    await app.perform('reload');
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  test('a worker of the first generation that never gets ready does not touch the others', async (t) => {
    const isSecond = 'require(process.env.CLUSTER).worker.id === 2';
    const program = `if (${isSecond}) setInterval(() => {}, 1_000);\nelse {\n${serves('one')}}`;
    const app = await startSupervised(t, {
      program,
      options: { workers: 3, readyTimeout: 2_000 },
      waits: false,
      warns: true,
    });
    const { slot } = await app.line({ on: 'supervisor', event: 'backoff' });
    t.is(slot, 1);
    // The next worker of the slot has another id, and listens.
    await app.line({ on: 'supervisor', event: 'ready' });
    const ids = await app.ids();
    t.deepEqual([ids[0], ids[2]], [1, 3]);
    await app.end();
  });

  test('a warning says once why workers that are tried again are not ready', async (t) => {
    const app = await startSupervised(t, {
      program: worksWithoutServers(),
      options: { readyTimeout: 500, restartDelay: 10 },
      waits: false,
      warns: true,
    });
    await app.statusWhen(({ slots }) => slots.every(({ failures }) => failures > 1));
    await app.end();
    const warnings = app.stderr.match(/SupervisorWarning: .*/g);
    t.is(warnings.length, 1);
    t.regex(warnings[0], /was not ready within readyTimeout, 500 ms.*needs readyWhen: 'ready'/);
  });
}

'use strict';

// Random operations at once, under every shape of traffic.

const { readdirSync } = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');
const { serial: test } = require('ava');
const { isBuiltin, specifier } = require('../helpers/implementation');
const { assertNothingLost, load, shapesWith } = require('../helpers/load');
const { BROKEN, brokenSource } = require('../helpers/programs');
const {
  answerLimit,
  startTrafficProgram,
  trafficProgram,
} = require('../helpers/supervised-traffic');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAlive } = require('../../tools/process-group');
const { Random } = require('../../tools/random');

// How long both tests together take.
const SECONDS = Number(process.env.SECONDS ?? 60);
const SEED = Number(process.env.SEED ?? process.pid);
const POST_CLIENTS = 8;
const MOST_WORKERS = 5;
const AT_ONCE = 3;
// How long a stopped worker may stay so, in ms: much shorter than requests wait.
const LONGEST_STOP = 500;
// Failures that the death of a worker explains: its connections end, and its addresses close if it was the last.
const BY_DEATH = ['refused', 'reset', 'closed', 'truncated'];
const OPTIONS = {
  // Longer than it takes broken code to fail on a busy machine.
  minUptime: 1_500,
  // A worker that starts beside many others on a busy machine is not broken.
  readyTimeout: 20_000,
  restartDelay: 10,
  maxRestartDelay: 100,
};

/** Code that fails soon, so that there is time for the others. */
const ENDING = Object.values(BROKEN).filter(({ exitCode }) => exitCode !== undefined);
const GOOD = 'good';
/** Runs the program that its environment names: so only workers of that reload run broken code. */
const CHOOSES = "require('./' + (process.env.PROGRAM ?? 'good') + '.js');\n";

const environmentFor = (program) => ({ CLUSTER: specifier, PROGRAM: `${program}` });

function deployAll(app) {
  app.deploy(trafficProgram(), `${GOOD}.js`);
  for (const [index, broken] of ENDING.entries()) {
    app.deploy(brokenSource(broken, trafficProgram), `${index}.js`);
  }
  app.deploy(CHOOSES);
}

/** Whatever an operator does, and what happens to workers. */
function operationsOn(app, random) {
  const signal = async (name) => {
    const { slots } = await app.status();
    const { pid } = random.pick(slots);
    if (pid !== null && isAlive(pid)) process.kill(pid, name);
    return pid;
  };
  const perform = (...args) => app.perform(...args).catch(() => {});
  return {
    reload: () => perform('reload', { env: environmentFor(GOOD) }),
    reloadBroken: () => perform('reload', { env: environmentFor(random.below(ENDING.length)) }),
    scale: () => perform('scale', 1 + random.below(MOST_WORKERS)),
    restart: () => perform('restart', random.below(MOST_WORKERS)),
    async hold() {
      await app.perform('hold');
      await pause(random.below(1_000));
      await app.perform('release');
    },
    async stopAndContinue() {
      const pid = await signal('SIGSTOP');
      await pause(random.below(LONGEST_STOP));
      if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGCONT');
    },
    /**
     * Not the last worker: its address would close with it, and clients that are refused try again at once. Returns
     * whether there was another one.
     */
    async kill() {
      const { slots } = await app.status();
      const ready = slots.filter(({ state, pid }) => state === 'ready' && isAlive(pid));
      if (ready.length < 2) return false;
      return process.kill(random.pick(ready).pid, 'SIGKILL');
    },
    status: () => app.status(),
  };
}

/** Does random operations for some seconds, some of them at once. */
async function operateAtRandom(operations, weights, random, seconds) {
  const end = Date.now() + seconds * 1_000;
  const counts = {};
  const lane = async () => {
    while (Date.now() < end) {
      const name = random.weighted(weights);
      const isInVain = (await operations[name]()) === false;
      if (!isInVain) counts[name] = (counts[name] ?? 0) + 1;
      await pause(random.below(200));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return counts;
}

/** Plays traffic meanwhile; afterwards everything is as it was at first, and nothing is left. */
async function play(t, { weights, seconds, logsIds }) {
  const limit = 120_000 + seconds * 3_000;
  t.timeout(limit);
  t.log(`SEED=${SEED}`);
  const random = new Random(SEED);
  const TMPDIR = temporaryDirectory(t);
  const { app, at, logs } = await startTrafficProgram(t, {
    options: OPTIONS,
    warns: true,
    timeout: limit,
    env: { TMPDIR },
  });
  deployAll(app);
  const settle = async () => {
    await app.perform('release');
    await app.perform('reload', { env: environmentFor(GOOD) });
    await app.perform('scale', 2);
    await app.untilSettled();
  };
  await settle();
  const before = await app.descriptorsWhenReaped();
  const played = await load(t, shapesWith(POST_CLIENTS, at), {
    logs: logsIds ? logs : undefined,
    answerLimitMs: answerLimit(),
    async operate() {
      const operations = operationsOn(app, random);
      const counts = await operateAtRandom(operations, weights, random, seconds);
      t.log(counts);
      // A slow machine does few operations.
      for (const name of Object.keys(weights)) {
        if (counts[name] !== undefined) continue;
        await settle();
        t.not(await operations[name](), false, name);
      }
    },
  });
  await settle();
  const descriptors = await app.descriptorsWhenReaped();
  const { slots, draining, state } = await app.status();
  t.deepEqual([state, draining, slots.length], ['ready', [], 2]);
  t.is(descriptors, before);
  await app.end();
  t.deepEqual(readdirSync(TMPDIR), []);
  return { app, played };
}

const OPERATIONS = {
  reload: 3,
  reloadBroken: 2,
  scale: 3,
  restart: 3,
  hold: 1,
  stopAndContinue: 3,
};

// The built-in module does not supervise.
if (!isBuiltin) {
  test('no request fails, and nothing is left, whatever operations come at once', async (t) => {
    const how = { weights: OPERATIONS, seconds: SECONDS / 2, logsIds: true };
    const { app, played } = await play(t, how);
    assertNothingLost(t, played);
    t.deepEqual(app.events('cut'), []);
  });

  test('only connections of workers that are killed end, whatever operations come at once', async (t) => {
    const how = { weights: { ...OPERATIONS, kill: 3 }, seconds: SECONDS / 2 };
    const { app, played } = await play(t, how);
    const kills = app.seen({ on: 'cluster', event: 'exit' }).filter(({ args }) => args[1]);
    t.true(kills.length > 0);
    for (const { name, failures, examples } of Object.values(played.shapes)) {
      const others = Object.keys(failures).filter((it) => !BY_DEATH.includes(it));
      t.deepEqual(others, [], `${name}: ${JSON.stringify({ failures, examples })}`);
    }
    // A killed worker had some of the connections.
    t.true(played.total.failed < played.total.requests / 50, JSON.stringify(played.total));
  });
}

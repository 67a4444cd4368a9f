'use strict';

// Every shape of traffic while the primary itself is replaced, by others of other versions of Node, with other policies
// and other numbers of workers: no request fails, and no connection that a client keeps is closed.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const {
  assertNoneClosed,
  assertNothingLost,
  assertResumed,
  load,
  shapesWith,
} = require('../helpers/load');
const { startScraping } = require('../helpers/scraping');
const {
  POST_CLIENTS,
  answerLimit,
  startUpgradedTraffic,
} = require('../helpers/supervised-traffic');
const { descriptorsOf, memoryOf, processesOf } = require('../helpers/traces');
const { HAS_PROC, becomesTrue } = require('../../tools/process-group');
const { findNode } = require('../../tools/node-binary');

const UPGRADES = Number(process.env.UPGRADES ?? 10);
const REQUESTS = 100_000;
/** How many connections clients open at once just before each upgrade. */
const BURST = 2_048;
const LIMIT = 240_000 + UPGRADES * 60_000;
const WITHIN = 10_000;
// In this order each is followed by an older and by a newer one.
const NODES = (process.env.UPGRADE_NODES ?? '20,26,18,24,22').split(',');
// Under SCHED_NONE connections can't move; it has a test of its own.
const POLICIES = ['SCHED_RR', 'SCHED_REUSEPORT', 'SCHED_LEAST_CONNECTIONS', 'SCHED_SOURCE_HASH'];
const WORKERS = [2, 3, 1];
// The last primary has a lane to the process that stays, and all sockets that any before it has opened under
// SCHED_REUSEPORT, one for each of its workers on each of 4 ports: closing one would reset what waits there.
const MORE_DESCRIPTORS = 1 + 4 * (Math.max(...WORKERS) - 1);
// What a heap may differ by, of which little was used when it was last collected.
const MORE_MEMORY = { times: 1.2, bytes: 16e6 };

const each = (all, index) => all[index % all.length];

/** The settings of a primary; those of the last are those of the first. */
function settingsOf(index) {
  const it = index === UPGRADES ? 0 : index;
  return { policy: each(POLICIES, it), workers: each(WORKERS, it) };
}

async function nodeOf(index) {
  return (await findNode(each(NODES, index === UPGRADES ? 0 : index))).path;
}

const measure = (pid) => ({ descriptors: descriptorsOf(pid).length, memory: memoryOf(pid) });

const withBurst = (shapes) =>
  shapes.map((it) => (it.shape === 'burst' ? { ...it, count: BURST } : it));

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  test(`no request fails while the primary is upgraded ${UPGRADES} times`, async (t) => {
    t.timeout(LIMIT);
    const { app, at, logs } = await startUpgradedTraffic(t, {
      node: await nodeOf(0),
      settings: settingsOf(0),
      timeout: LIMIT,
    });
    const scraping = startScraping(t, app.admin);
    const shapes = withBurst(shapesWith(POST_CLIENTS, at));
    const first = measure(app.pid);
    let last;
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      requests: REQUESTS,
      async operate(traffic) {
        for (let i = 1; i <= UPGRADES; i += 1) {
          const execPath = await nodeOf(i);
          app.change(settingsOf(i));
          await traffic.burst();
          const { pid, generation } = await app.upgrade({ execPath });
          t.is(generation, i + 1);
          t.is((await app.status()).pid, pid);
          await app.untilSettled();
          last = pid;
        }
      },
    });
    await scraping.stop();
    // Idle connections wait in the primary until their clients have closed them.
    const most = first.descriptors + MORE_DESCRIPTORS;
    await becomesTrue(() => descriptorsOf(last).length <= most, WITHIN);
    const then = measure(last);
    const served = app.seen({ successor: true });
    const left = processesOf(app.pid).length;
    const { code } = await app.stop();
    t.is(code, 0);
    assertNothingLost(t, played);
    assertNoneClosed(t, played, shapes);
    assertResumed(t, played, shapes);
    t.true(played.total.requests >= REQUESTS);
    t.is(served.length, UPGRADES);
    t.is(served.at(-1).serves, last);
    // The first primary, which stays, the last one, and its workers.
    t.is(left, 2 + settingsOf(0).workers);
    t.deepEqual(app.seen({ on: 'supervisor', event: 'cut' }), []);
    t.deepEqual(app.seen({ on: 'supervisor', event: 'backoff' }), []);
    t.log({ first, then });
    t.true(then.descriptors <= most, JSON.stringify({ first, then }));
    const mostMemory = first.memory * MORE_MEMORY.times + MORE_MEMORY.bytes;
    t.true(then.memory <= mostMemory, JSON.stringify({ first, then }));
    t.deepEqual(scraping.found.wrong.slice(0, 5), []);
    t.true(scraping.found.scrapes > 10 * UPGRADES, `${scraping.found.scrapes}`);
  });

  test('no request fails while primaries upgrade to SCHED_NONE, and from it', async (t) => {
    t.timeout(LIMIT);
    const policies = ['SCHED_NONE', 'SCHED_RR', 'SCHED_NONE', 'SCHED_REUSEPORT', 'SCHED_NONE'];
    const { app, at, logs } = await startUpgradedTraffic(t, {
      settings: { policy: 'SCHED_RR' },
      timeout: LIMIT,
    });
    // An answer that comes before the request's body never ends a connection that can't move.
    const shapes = shapesWith(POST_CLIENTS, at).filter(({ early }) => !early);
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      async operate(traffic) {
        for (const policy of policies) {
          app.change({ policy });
          await traffic.burst();
          await app.upgrade();
          await app.untilSettled();
        }
      },
    });
    t.is((await app.stop()).code, 0);
    assertNothingLost(t, played);
    t.deepEqual(app.seen({ on: 'supervisor', event: 'cut' }), []);
  });
}

'use strict';

// The old primary is killed at each step of an upgrade: the new one serves as soon as it has been offered everything.

const { serial: test } = require('ava');
const { fixturePath } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { assertNothingLost, load } = require('../helpers/load');
const { untilGone } = require('../helpers/supervised');
const { answerLimit, startUpgradedTraffic } = require('../helpers/supervised-traffic');
const { processesOf } = require('../helpers/traces');
const { LIMIT, MIN_UPTIME, shapesFor } = require('../helpers/unchanged');
const { HAS_PROC, becomesTrue } = require('../../tools/process-group');
const { slowdown } = require('../../tools/time-limit');

const POLICIES = ['SCHED_RR', 'SCHED_REUSEPORT'];
const WORKERS = 2;
/** Shapes whose clients open a connection for each request. */
const NEW = ['connections', 'burst'];
/** As many requests as a primary and its workers have at a time on an idle machine, or fewer. */
const MOST_LOST = 20;

/** A program whose first primary may be killed: another process leads the session. */
const startKillable = async (t, settings) => {
  t.timeout(LIMIT);
  const started = await startUpgradedTraffic(t, {
    launcher: [execPath, fixturePath('supervise/session')],
    settings: { minUptime: MIN_UPTIME, ...settings },
    timeout: LIMIT,
  });
  const { app } = started;
  const end = async () => {
    const { pid } = await app.status();
    process.kill(pid, 'SIGTERM');
    await untilGone(pid);
    app.signal('SIGTERM');
    return app.exited;
  };
  return { ...started, end };
};

/** Only requests that workers of the killed primary had can fail, and these are few. */
function assertFailures(t, { failed, shapes }) {
  for (const { name, failures } of Object.values(shapes)) {
    const { reset, closed, truncated, ...others } = failures;
    t.deepEqual(others, {}, name);
  }
  // Its connections are opened when the new primary serves.
  t.deepEqual(shapes.burst.failures, {});
  t.log(`${failed} have failed`);
  t.true(failed <= MOST_LOST * slowdown(), `${failed} have failed`);
}

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  for (const policy of POLICIES) {
    for (const at of ['supervise', 'fork', 'online', 'listening', 'serve']) {
      test(`${policy}: the new primary serves when the old one is killed: ${at}`, async (t) => {
        const { app, at: addresses, end } = await startKillable(t, { policy });
        const shapes = shapesFor(addresses).filter(({ shape }) => NEW.includes(shape));
        const result = await load(t, shapes, {
          answerLimitMs: answerLimit(),
          async operate(traffic) {
            app.change({ breaks: { at, does: 'killPredecessor' } });
            await app.upgrade().catch(() => {});
            await app.line({ ended: { code: null, signal: 'SIGKILL' } });
            await app.line({ successor: true });
            await traffic.burst();
            await app.untilSettled();
          },
        });
        assertFailures(t, result);
        const status = await app.status();
        t.is(status.generation, 2);
        t.not(status.pid, app.first);
        // It can be upgraded as any other.
        app.change({ breaks: undefined });
        const { pid } = await app.upgrade();
        t.is((await app.status()).pid, pid);
        await end();
      });
    }
  }

  test('a primary that is killed before it has offered anything takes the new one along', async (t) => {
    for (const at of ['start', 'load']) {
      const { app } = await startKillable(t);
      app.change({ breaks: { at, does: 'killPredecessor' } });
      await app.upgrade().catch(() => {});
      await app.line({ ended: { code: null, signal: 'SIGKILL' } });
      const { pid } = await app.line({ breaks: at });
      await untilGone(pid);
      app.signal('SIGTERM');
      // It fails if any process is left.
      await t.notThrowsAsync(app.exited);
    }
  });

  test('the new primary serves on when the process that stays is killed', async (t) => {
    const { app, at, end } = await startKillable(t);
    const shapes = shapesFor(at);
    const result = await load(t, shapes, {
      answerLimitMs: answerLimit(),
      async operate() {
        await app.upgrade();
        // The leader of the session, both primaries, and the workers of the new one.
        await becomesTrue(() => processesOf(app.pid).length === 3 + WORKERS, LIMIT);
        process.kill(app.first, 'SIGKILL');
        await app.line({ ended: { code: null, signal: 'SIGKILL' } });
        await app.untilSettled();
      },
    });
    assertNothingLost(t, result);
    await end();
  });
}

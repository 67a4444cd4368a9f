'use strict';

// The new primary ends, hangs, or says something else than it should, at each step of an upgrade: the old one serves on.

const { once } = require('node:events');
const { writeFileSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const played = require('../fixtures/supervise/played-successors');
const { isBuiltin } = require('../helpers/implementation');
const { post } = require('../helpers/operator');
const { BROKEN, brokenSource } = require('../helpers/programs');
const { untilGone } = require('../helpers/supervised');
const { startUpgradedTraffic, trafficProgram } = require('../helpers/supervised-traffic');
const { MIN_UPTIME, SOON, noteState, rejection, unnoticed } = require('../helpers/unchanged');
const { HAS_PROC } = require('../../tools/process-group');

const POLICIES = ['SCHED_RR', 'SCHED_REUSEPORT'];

/** What a successor does, and at which step. */
const ENDS = [
  ['start', 'exit'],
  ['start', 'throw'],
  ['start', 'die'],
  ['start', 'hang'],
  ['start', 'stop'],
  ['load', 'exit'],
  ['load', 'hang'],
  ['supervise', 'exit'],
  ['supervise', 'throw'],
  ['supervise', 'die'],
  ['supervise', 'stop'],
  ['fork', 'die'],
  ['fork', 'stop'],
  ['online', 'exit'],
  ['online', 'die'],
  ['listening', 'exit'],
  ['listening', 'die'],
  ['listening', 'stop'],
];
const LASTS = ['hang', 'stop'];
/** Played successors that only a timeout ends. */
const SILENT = ['silent'];

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  for (const policy of POLICIES) {
    test(`${policy}: the old primary serves on wherever the new one ends before it serves`, (t) =>
      unnoticed(t, { policy }, async (app, assertUnchanged, traffic) => {
        for (const [at, does] of ENDS) {
          const what = `${does} at ${at}`;
          app.change({ breaks: { at, does } });
          await traffic.burst();
          const upgraded = app.upgrade(LASTS.includes(does) ? { timeout: SOON } : {});
          const error = await rejection(t, upgraded, what);
          if (does === 'exit') t.is(error.exitCode, 3, what);
          if (does === 'die') t.is(error.signal, 'SIGKILL', what);
          await assertUnchanged(t, what);
        }
      }));
  }

  test('the old primary serves on whatever the new one says', (t) =>
    unnoticed(t, {}, async (app, assertUnchanged, traffic) => {
      for (const plays of Object.keys(played)) {
        app.change({ plays });
        await traffic.burst();
        const upgraded = app.upgrade(SILENT.includes(plays) ? { timeout: SOON } : {});
        const error = await rejection(t, upgraded, plays);
        if (plays === 'fails') t.regex(error.message, /no database/);
        if (plays === 'speaksLaterVersion') t.regex(error.message, /versions 1000 to 1001/);
        await assertUnchanged(t, plays);
      }
    }));

  // One that uses up its memory has to do that before it is well.
  test('the old primary serves on when workers of the new one fail', (t) => {
    const operate = async (app, assertUnchanged, traffic) => {
      for (const [name, broken] of Object.entries(BROKEN)) {
        app.deploy(brokenSource(broken, trafficProgram));
        await traffic.burst();
        const upgraded = app.upgrade(broken.isTooLate ? { timeout: SOON } : {});
        const error = await rejection(t, upgraded, name);
        if (!broken.isTooLate)
          t.true(`${error.message}${error.stderr}`.includes(broken.stderr), name);
        await assertUnchanged(t, name);
      }
      app.deploy(trafficProgram());
    };
    const settings = { execArgv: ['--max-old-space-size=100'] };
    return unnoticed(t, settings, operate, { crashes: true });
  });

  test('the old primary serves on when the new one can not have an address', (t) =>
    unnoticed(t, {}, async (app, assertUnchanged) => {
      const taken = net.createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address();
      app.deploy(`${trafficProgram()}
        require('node:http').createServer().listen(${port}, '127.0.0.1');`);
      const error = await rejection(t, app.upgrade(), 'taken');
      t.regex(`${error.message} ${error.stderr}`, /EADDRINUSE/);
      await assertUnchanged(t, 'taken');
      taken.close();
      app.deploy(trafficProgram());
    }));

  test('what an operator gets wrong starts nothing', (t) =>
    unnoticed(t, {}, async (app) => {
      const file = path.join(app.runtime, 'not-executable');
      writeFileSync(file, '', { mode: 0o600 });
      const assertStill = await noteState(app, []);
      for (const options of [
        { execPath: '/no/such/node' },
        { execPath: file },
        { execPath: app.runtime },
        { directory: '/no/such/directory' },
        { directory: file },
        { timeout: -1 },
        { timeout: 'soon' },
        { unknown: true },
      ]) {
        const { status, body } = await post(app.control, '/upgrade', options);
        t.true([400, 409].includes(status), `${JSON.stringify(options)}: ${status} ${body}`);
        await assertStill(t, JSON.stringify(options));
      }
      t.deepEqual(app.seen({ breaks: 'start' }), []);
    }));

  test('another operation is refused, or waits, while an upgrade is under way', (t) =>
    unnoticed(t, {}, async (app, assertUnchanged) => {
      app.change({ breaks: { at: 'listening', does: 'stop' } });
      const upgraded = app.upgrade({ timeout: 2 * SOON });
      upgraded.catch(() => {});
      await app.line({ breaks: 'listening' });
      t.is((await app.status()).state, 'upgrading');
      const second = await t.throwsAsync(app.upgrade());
      t.regex(second.code, /^ERR_RS_CLUSTER_/);
      t.is((await app.status()).state, 'upgrading');
      await rejection(t, upgraded, 'the first');
      await assertUnchanged(t, 'two at once');
    }));

  test('a stop during an upgrade ends both', async (t) => {
    const { app } = await startUpgradedTraffic(t, { settings: { minUptime: MIN_UPTIME } });
    app.change({ breaks: { at: 'listening', does: 'stop' } });
    const upgraded = app.upgrade();
    upgraded.catch(() => {});
    const { pid } = await app.line({ breaks: 'listening' });
    const { code } = await app.stop();
    t.is(code, 0);
    await untilGone(pid);
    await t.throwsAsync(upgraded);
  });
}
